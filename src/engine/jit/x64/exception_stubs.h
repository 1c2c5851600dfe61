#pragma once
// Exception entry and return in assembly: the common cases in place, all others in C++.
#include <xbyak/xbyak.h>

#include "engine/jit/x64/stubs.h"

namespace armvisor::engine::jit {

// Emit what Stubs says of the member of the same name.
void emit_exception_return(Xbyak::CodeGenerator& c, const Stubs& stubs, const StubOptions& options);
void emit_supervisor_call(Xbyak::CodeGenerator& c, const Stubs& stubs, const StubOptions& options);

}  // namespace armvisor::engine::jit
