#pragma once
// Translation table walks (ARM DDI 0406C B3.5 short-descriptor, B3.6 long-descriptor), PL1&0 stage 1.
// The walker is a template-free function over an abstract physical memory, so that tests drive it with plain values.
#include "arm/cpu_state.h"
#include "arm/exceptions.h"
#include "base/types.h"

namespace armvisor::arm {

/// Reads of descriptors. Returns false for an external abort on the walk.
class WalkMemory {
 public:
  virtual bool read32(GuestPa pa, u32& value) = 0;
  virtual bool read64(GuestPa pa, u64& value) = 0;

 protected:
  ~WalkMemory() = default;
};

enum class Access : u8 { Read, Write, Execute };

enum class MemoryType : u8 { StronglyOrdered, Device, Normal };

struct Translation {
  GuestPa pa;          ///< of the byte asked for
  u32 page_bits = 12;  ///< log2 of the region that one descriptor maps
  bool global = true;  ///< not tagged with an ASID
  u8 domain = 0;       ///< short-descriptor format
  MemoryType type = MemoryType::Normal;
  u64 par_attributes = 0;  ///< attribute bits of PAR for ATS1C* in the current format, address field clear
  // What each privilege may do. A TLB fills its entry from these, so one walk serves later accesses of other kinds.
  bool pl1_read = false, pl1_write = false, pl1_execute = false;
  bool pl0_read = false, pl0_write = false, pl0_execute = false;
};

/// Translates `va` with the tables that `s` selects (or flat, when SCTLR.M is clear; B3.2).
/// Fault: type, level, domain, va and write are filled in. With SCTLR.AFE or the long format an access flag of 0
/// faults. Domains of type Manager grant all; No access faults.
Fault translate(const CpuState& s, WalkMemory& memory, u32 va, Access access, bool privileged, Translation& out);

/// The ASID that tags non-global translations: CONTEXTIDR, or TTBRn as TTBCR.A1 says with the long-descriptor format
/// (B3.10.2).
Asid current_asid(const CpuState& s);

}  // namespace armvisor::arm
