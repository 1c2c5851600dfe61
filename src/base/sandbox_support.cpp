#include "base/sandbox_support.h"

#include "base/sandbox/call_list.h"
#include "base/sandbox/landlock.h"
#include "base/sandbox/sandbox.h"

namespace armvisor {

SandboxSupport sandbox_support() { return {CallList::available(), Landlock::version(), Sandbox::k_built_in}; }

}  // namespace armvisor
