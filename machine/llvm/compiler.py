"""LLVM behind one door: IR text in, host function addresses out. The only importer of llvmlite."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Final, final

import llvmlite.binding as llvm
from retrap.machine.llvm.lower import DECLARATIONS, PROFILE, Shape

Entry = Callable[[int, int], int]
"""A compiled region: (host address of the context, host address of the environment) → `Exit`."""

_PROTOTYPE: Final = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)


@final
class Compiler:
    """Compiles functions of the region signature. Code lives until `forget` or the compiler goes."""

    def __init__(self) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self._triple: Final = llvm.get_process_triple()
        target = llvm.Target.from_triple(self._triple)
        self._target: Final = target
        self._options: Final = {"cpu": llvm.get_host_cpu_name(), "features": llvm.get_host_cpu_features().flatten()}
        self._engines: Final = {Shape.QUICK: self._engine(0), Shape.TUNED: self._engine(2)}
        self._tuner: Final = self._machine(2)
        self._modules: Final[dict[str, tuple[Shape, Any]]] = {}

    def _machine(self, level: int) -> Any:
        return self._target.create_target_machine(opt=level, jit=True, **self._options)

    def _engine(self, level: int) -> Any:
        # An engine owns its machine: it gets one that nothing else uses.
        backing = llvm.parse_assembly(f'target triple = "{self._triple}"\n')
        return llvm.create_mcjit_compiler(backing, self._machine(level))

    def compile(self, name: str, text: str, shape: Shape) -> tuple[int, Entry]:
        """Host address and callable of function `name`, defined by `text`."""
        module = llvm.parse_assembly(f'target triple = "{self._triple}"\n{DECLARATIONS}\n{text}\n{PROFILE}\n')
        if shape is Shape.TUNED:
            tuning = llvm.create_pipeline_tuning_options(speed_level=1)
            builder = llvm.create_pass_builder(self._tuner, tuning)
            passes = llvm.create_new_module_pass_manager()
            passes.add_sroa_pass()
            passes.add_instruction_combine_pass()
            passes.add_simplify_cfg_pass()
            passes.add_aggressive_dce_pass()
            passes.run(module, builder)
        engine = self._engines[shape]
        engine.add_module(module)
        engine.finalize_object()
        address = engine.get_function_address(name)
        self._modules[name] = (shape, module)
        return address, _PROTOTYPE(address)

    def forget(self, name: str) -> None:
        """Drop the module of function `name`; nothing may call it any more."""
        shape, module = self._modules.pop(name)
        self._engines[shape].remove_module(module)
        module.close()
