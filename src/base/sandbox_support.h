#pragma once
// What this host has of that the sandbox is made of.
namespace armvisor {

struct SandboxSupport {
  bool seccomp = false;  ///< lists of system calls; without them there is no sandbox
  int landlock = 0;      ///< the version of rules for files; 0: there are none, and the sandbox is lists only
  bool built_in = true;  ///< false in a build with a sanitizer
};

SandboxSupport sandbox_support();

}  // namespace armvisor
