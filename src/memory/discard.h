#pragma once
// Guest RAM that the guest does not need is given back to the host.
#include "memory/guest_ram.h"

namespace armvisor {

/// (any thread) Pages of guest RAM lose their content, and the host has its memory back until somebody touches them:
/// from then on they are zeros in every view, since all views map the one memfd. For those who hold something that was
/// derived from the pages it is a device's write of zeros (GuestRam::mark_written). Only whole pages inside
/// [pa, pa + size); a host that cannot take them back leaves them as they are. Returns how many bytes were given back.
u64 discard(GuestRam& ram, GuestPa pa, u64 size);

}  // namespace armvisor
