#pragma once
// What this host has beyond plain x86-64, less what the variable ARMVISOR_HIDE names.
namespace armvisor::engine::jit {

struct HostFeatures {
#define HOST_FEATURE(member, name, use) bool member = false;
#include "engine/jit/x64/host_features.inc"
#undef HOST_FEATURE

  /// Detected when it is first asked for; names in ARMVISOR_HIDE that are not known hide nothing.
  static const HostFeatures& get();
};

}  // namespace armvisor::engine::jit
