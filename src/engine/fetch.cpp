// What a vCPU's finder and maker of blocks need of it: translation for execution, and its own way of letting go of a
// frame that is to hold code.
#include "engine/vcpu.h"

namespace armvisor::engine {

using measure::Counter;

bool TranslatingVcpu::fetch_page(u32 va, CodePage& page) {
  arm::CpuState& s = context_.guest;
  const u64 id = context_.dispatch.now.exec[(va >> k_page_bits) % mmu::k_exec_entries];
  if (static_cast<u32>(id) == va >> k_page_bits) {
    page.frame = mmu::exec_frame(id);
  } else {
    GuestMemory::Page found;
    if (const arm::Fault fault = memory_.find_page(va, arm::Access::Execute, s.privileged(), found)) {
      count(Counter::TrueExec);
      count(Counter::PrefetchAbort);
      arm::take_prefetch_abort(s, fault, s.r[15]);
      return false;
    }
    page.frame = found.frame;
    if (!memory_.views_hold()) views_.sync();
  }
  page.host = shared_.page_at(page.frame);
  if (page.host) return true;
  arm::Fault external;
  external.type = arm::FaultType::SyncExternal;
  external.va = va;
  count(Counter::PrefetchAbort);
  arm::take_prefetch_abort(s, external, s.r[15]);
  return false;
}

void TranslatingVcpu::claim(GuestPa pa, u8 writers) {
  shared_.ask_writers(pa, writers & ~(1u << index_));
  if (writers >> index_ & 1) memory_.drop_writes(pa);
}

}  // namespace armvisor::engine
