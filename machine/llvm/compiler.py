"""LLVM behind one door: IR text in, object files out. The only importer of llvmlite."""

from __future__ import annotations

from typing import Any, Final, final

import llvmlite
import llvmlite.binding as llvm
from retrap.machine.llvm.floats import FLOAT_DECLARATIONS
from retrap.machine.llvm.lower import PROFILE, Shape
from retrap.machine.llvm.rules import DECLARATIONS

LIBRARY: Final[str] = llvmlite.__version__


@final
class Compiler:
    """Compiles modules to relocatable objects for this host."""

    def __init__(self) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        # How much the register allocator tries for a value in many blocks: more costs half of all time to compile,
        # and gains nothing here.
        llvm.set_option("", "-grow-region-complexity-budget=500")
        self._triple: Final = llvm.get_process_triple()
        self._target: Final = llvm.Target.from_triple(self._triple)
        features = llvm.get_host_cpu_features()
        for name in tuple(features):
            # Nothing here gains by vectors, and LLVM takes its time to find that out.
            if name.startswith("avx512"):
                features[name] = False
        self._options: Final = {"cpu": llvm.get_host_cpu_name(), "features": features.flatten()}
        self._machines: Final = {Shape.QUICK: self._machine(0), Shape.TUNED: self._machine(2)}

    def _machine(self, level: int) -> Any:
        return self._target.create_target_machine(
            opt=level, reloc="pic", codemodel="small", **self._options
        )

    def compile(self, text: str, shape: Shape) -> bytes:
        """The object file of some functions' definitions."""
        parts = (f'target triple = "{self._triple}"', DECLARATIONS, FLOAT_DECLARATIONS, text, PROFILE, "")
        module = llvm.parse_assembly("\n".join(parts))
        machine = self._machines[shape]
        if shape is Shape.TUNED:
            tuning = llvm.create_pipeline_tuning_options(speed_level=1)
            passes = llvm.create_new_module_pass_manager()
            passes.add_sroa_pass()
            passes.add_instruction_combine_pass()
            passes.add_simplify_cfg_pass()
            passes.add_aggressive_dce_pass()
            passes.run(module, llvm.create_pass_builder(machine, tuning))
        found: bytes = machine.emit_object(module)
        module.close()
        return found


@final
class Linker:
    """Makes object files executable by way of LLVM, where `arena` cannot."""

    def __init__(self) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        target = llvm.Target.from_triple(llvm.get_process_triple())
        backing = llvm.parse_assembly(f'target triple = "{llvm.get_process_triple()}"\n')
        # An engine owns its machine: it gets one that nothing else uses.
        self._engine: Final = llvm.create_mcjit_compiler(backing, target.create_target_machine(jit=True))

    def load(self, data: bytes, names: list[str]) -> list[int]:
        """Host addresses of functions of an object file. Its code lives as long as this."""
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(data))
        self._engine.finalize_object()
        return [self._engine.get_function_address(name) for name in names]
