#include "vmm/stall_watch.h"

namespace armvisor::vmm {

bool StallWatch::look(std::span<const VcpuLook> vcpus) {
  asleep_.resize(vcpus.size());
  bool stalled = !vcpus.empty();
  for (std::size_t n = 0; n < vcpus.size(); ++n) {
    const VcpuLook& v = vcpus[n];
    asleep_[n] = v.asleep && !v.timer_armed ? asleep_[n] + 1 : 0;
    stalled = stalled && (v.asleep ? asleep_[n] >= looks_ : v.masked_ns >= masked_ns_);
  }
  return stalled;
}

}  // namespace armvisor::vmm
