#pragma once
// What the host's kernel has for a process that confines itself.
namespace armvisor {

/// Whether the kernel takes seccomp filters that kill a process (seccomp(2)).
bool has_seccomp_filter();

/// The version of Landlock's interface (landlock_create_ruleset(2)); 0: there is none, or it is switched off.
int landlock_abi();

}  // namespace armvisor
