#pragma once
// What a vCPU's shadow did. Plain fields of the vCPU's own thread.
#include "base/types.h"

namespace armvisor::mmu {

struct ShadowCounts {
  // Faults. Hidden: the shadow's own, of which the guest sees nothing. True: delivered to the guest.
  u64 refills = 0;            ///< hidden: a walk of the guest's tables found a translation
  u64 seen_writes = 0;        ///< hidden: writes to frames whose writes must be seen
  u64 true_faults = 0;        ///< a walk found none
  u64 uncached = 0;           ///< translations that were not kept: another vCPU could still write a table unseen
  u64 switches = 0;           ///< changes of the current space
  u64 evictions = 0;          ///< spaces given up for another
  u64 maintenance = 0;        ///< TLB maintenance operations, other vCPUs' included
  u64 maintenance_drops = 0;  ///< entries that they dropped
  // Coherent policies only.
  u64 table_writes = 0;    ///< by this vCPU, to frames that hold tables in use
  u64 table_claims = 0;    ///< frames that came to hold a table in use
  u64 table_releases = 0;  ///< frames let go whole: freed, written much, or in a batch
  u64 derived_drops = 0;   ///< entries dropped because what they were derived from was written
};

}  // namespace armvisor::mmu
