#pragma once
// What one vCPU asks of another's shadow.
#include "base/types.h"

namespace armvisor::mmu {

struct Request {
  enum class Kind : u8 {
    FlushAll,  ///< TLB maintenance (ARM DDI 0406C B3.10.5)
    FlushAsid,
    FlushVa,
    FlushVaAllAsids,
    Forget,       ///< everything, whatever the policy
    DropWrites,   ///< write entries for the frame of pa
    DropDerived,  ///< what was derived from the descriptors in [pa, pa + size), inside one frame
    DropTable,    ///< what was derived from the frame of pa, which then is no table in use any more
  };
  Kind kind;
  Asid asid;
  u32 va = 0;
  GuestPa pa;
  u32 size = 0;
  u32 pages = 1;  ///< from va on, of FlushVa and FlushVaAllAsids
};

}  // namespace armvisor::mmu
