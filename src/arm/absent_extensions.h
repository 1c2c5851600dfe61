#pragma once
// Instructions that only the Security and Virtualization Extensions define (ARM DDI 0406C B9.3, B4.2): for telling the
// user why a guest, which expected to be entered in Hyp or Monitor mode, goes no further.
#include "base/types.h"

namespace armvisor::arm {

struct Extension {
  const char* name;  ///< "Virtualization Extensions"
  const char* mode;  ///< that it brings: "Hyp"
};
/// The extension that alone defines an instruction which is UNDEFINED here, or null. Of a 32-bit T32 instruction the
/// first halfword is the upper one.
const Extension* absent_extension(u32 insn, bool thumb);

}  // namespace armvisor::arm
