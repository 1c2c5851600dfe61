#include "vmm/crash_watch.h"

namespace armvisor::vmm {
namespace {

/// PC is a vector whose exception was taken from that same vector (ARM DDI 0406C B1.8.1 offsets, B1.8.3 return
/// addresses).
bool at_vector_entered_from_itself(const arm::CpuState& s) {
  const u32 pc = s.r[15], lr = s.r[14];
  const u32 undefined_return = s.thumb() ? 2 : 4;
  switch (pc & 0x1f) {
    case 0x04: return s.mode() == arm::k_mode_und && lr == pc + undefined_return;
    case 0x0c: return s.mode() == arm::k_mode_abt && lr == pc + 4;
    case 0x10: return s.mode() == arm::k_mode_abt && lr == pc + 8;
    default: return false;
  }
}

}  // namespace

bool CrashWatch::sample(const arm::CpuState& s) {
  if (!at_vector_entered_from_itself(s)) {
    agreeing_ = 0;
    return false;
  }
  const bool same = agreeing_ > 0 && s.r == last_.r && s.psr == last_.psr && arm::spsr(s) == arm::spsr(last_);
  agreeing_ = same ? agreeing_ + 1 : 1;
  last_ = s;
  return agreeing_ >= k_samples;
}

}  // namespace armvisor::vmm
