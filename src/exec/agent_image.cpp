// The agent, as guest/CMakeLists.txt built it, in the program's own read-only data.
#include "exec/initramfs.h"

__asm__(
    ".pushsection .rodata.armvisor_agent, \"a\"\n"
    ".balign 16\n"
    ".hidden armvisor_agent_begin\n.hidden armvisor_agent_end\n"
    ".globl armvisor_agent_begin\n.globl armvisor_agent_end\n"
    "armvisor_agent_begin:\n.incbin \"" ARMVISOR_AGENT
    "\"\narmvisor_agent_end:\n"
    ".popsection\n");

extern "C" {
extern const armvisor::u8 armvisor_agent_begin[], armvisor_agent_end[];
}

namespace armvisor::exec {

std::span<const u8> agent_image() { return {armvisor_agent_begin, armvisor_agent_end}; }

}  // namespace armvisor::exec
