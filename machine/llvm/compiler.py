"""LLVM behind one door: IR text in, host function addresses out. The only importer of llvmlite."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Final, final

import llvmlite.binding as llvm
from retrap.machine.llvm.lower import DECLARATIONS, PROFILE

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
        options = {"cpu": llvm.get_host_cpu_name(), "features": llvm.get_host_cpu_features().flatten()}
        self._machines: Final[dict[int, Any]] = {
            level: target.create_target_machine(opt=level, jit=True, **options) for level in (0, 1, 2)
        }
        backing = llvm.parse_assembly(f'target triple = "{self._triple}"\n')
        # An engine owns its machine: give it one that nothing else uses.
        self._engine: Final = llvm.create_mcjit_compiler(
            backing, target.create_target_machine(opt=1, jit=True, **options)
        )
        self._modules: Final[dict[str, Any]] = {}

    def compile(self, name: str, text: str, optimise: bool) -> tuple[int, Entry]:
        """Host address and callable of function `name`, defined by `text`."""
        module = llvm.parse_assembly(f'target triple = "{self._triple}"\n{DECLARATIONS}\n{text}\n{PROFILE}\n')
        if optimise:
            tuning = llvm.create_pipeline_tuning_options(speed_level=1)
            builder = llvm.create_pass_builder(self._machines[1], tuning)
            passes = llvm.create_new_module_pass_manager()
            passes.add_sroa_pass()
            passes.add_instruction_combine_pass()
            passes.add_simplify_cfg_pass()
            passes.add_aggressive_dce_pass()
            passes.run(module, builder)
        self._engine.add_module(module)
        self._engine.finalize_object()
        address = self._engine.get_function_address(name)
        self._modules[name] = module
        return address, _PROTOTYPE(address)

    def forget(self, name: str) -> None:
        """Drop the module of function `name`; nothing may call it any more."""
        module = self._modules.pop(name)
        self._engine.remove_module(module)
        module.close()
