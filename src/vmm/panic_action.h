#pragma once
// What becomes of a machine whose guest tells that its kernel has panicked, as QEMU's -action panic= has it.

namespace armvisor::vmm {

enum class PanicAction {
  Pause,     ///< it is stopped, for monitors to look at, let go, reset or end
  PowerOff,  ///< it ends as if it were turned off, or is stopped if machines that are turned off are kept
  Fail,      ///< it ends with EndReason::Panicked
  None,      ///< it goes on
};

}  // namespace armvisor::vmm
