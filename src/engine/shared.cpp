#include "engine/shared.h"

#include <sched.h>

#include "engine/inbox.h"

namespace armvisor::engine {

u32 count_host_cpus() {
  cpu_set_t cpus;
  return sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? static_cast<u32>(CPU_COUNT(&cpus)) : 1;
}

void Shared::ask_writers(GuestPa pa, u32 asked) {
  for (u32 k = 0; k < inboxes.size(); ++k)
    if (asked >> k & 1) inboxes[k]->post({.kind = Request::Kind::DropWrites, .asid = Asid(), .pa = pa});
}

void Shared::reclaim_code() {
  const u64 now = code.epoch();
  for (Inbox* const inbox : inboxes)
    if (inbox->holder().quiet() < now) inbox->request_attention();
  holders.reclaim(code);
}

bool Shared::has_spare_cpu() const {
  if (backend->compiles_aside() == Backend::Aside::Always || host_cpus > config.vcpus) return true;
  u32 running = 0;
  for (const Inbox* const inbox : inboxes) running += inbox->is_running();
  return running < host_cpus;
}

}  // namespace armvisor::engine
