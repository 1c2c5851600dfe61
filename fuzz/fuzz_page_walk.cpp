// Any translation tables, control registers and addresses: a walk ends, and with a fault or a sane translation.
#include <array>

#include "arm/page_walk.h"
#include "input.h"

using namespace armvisor;

namespace {

/// Physical memory that repeats the input; every eighth megabyte aborts.
class Memory final : public arm::WalkMemory {
 public:
  explicit Memory(std::span<const u8> bytes) {
    for (std::size_t i = 0; i < bytes_.size() && !bytes.empty(); ++i) bytes_[i] = bytes[i % bytes.size()];
  }
  bool read32(GuestPa pa, u32& value) override { return read(pa, value); }
  bool read64(GuestPa pa, u64& value) override { return read(pa, value); }
  unsigned reads = 0;

 private:
  template <class T>
  bool read(GuestPa pa, T& value) {
    if (pa.value % sizeof(T)) fuzz::fail("a misaligned descriptor read");
    if (pa.value >> 40) fuzz::fail("a descriptor address of more than 40 bits");
    ++reads;
    if ((pa.value >> 20) % 8 == 7) return false;
    std::memcpy(&value, &bytes_[pa.value % bytes_.size()], sizeof value);
    return true;
  }
  std::array<u8, 4096> bytes_{};
};

void walk(const arm::CpuState& s, Memory& memory, u32 va, arm::Access access, bool privileged) {
  arm::Translation t;
  memory.reads = 0;
  const arm::Fault fault = arm::translate(s, memory, va, access, privileged, t);
  if (memory.reads > 3) fuzz::fail("more than three levels");
  if (fault) {
    if (fault.va != va || fault.write != (access == arm::Access::Write))
      fuzz::fail("a fault that is not this access's");
    (void)arm::encode_fsr(s, fault, access == arm::Access::Execute);
    return;
  }
  if (t.page_bits < 12 || t.page_bits > 32 || t.pa.value >> 40) fuzz::fail("an impossible translation");
  if ((t.pa.value ^ va) & low_mask(12)) fuzz::fail("the offset in the page changed");
  const bool allowed = access == arm::Access::Read    ? (privileged ? t.pl1_read : t.pl0_read)
                       : access == arm::Access::Write ? (privileged ? t.pl1_write : t.pl0_write)
                                                      : (privileged ? t.pl1_execute : t.pl0_execute);
  if (!allowed) fuzz::fail("translated without the right to");
}

}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input in(data, size);
  arm::CpuState s = arm::reset_state(0, 1);
  s.cp15.sctlr |= (in.get<u32>() & ~1u) | (in.get<u8>() != 0);
  s.cp15.ttbcr = in.get<u32>();
  s.cp15.ttbr0 = in.get<u64>();
  s.cp15.ttbr1 = in.get<u64>();
  s.cp15.dacr = in.get<u32>();
  s.cp15.mair0 = in.get<u32>();
  s.cp15.mair1 = in.get<u32>();
  std::array<u32, 8> addresses;
  for (u32& a : addresses) a = in.get<u32>();
  const u8 kinds = in.get<u8>();
  Memory memory(in.rest());
  for (u32 i = 0; i < 8; ++i)
    walk(s, memory, addresses[i], static_cast<arm::Access>((kinds + i) % 3), (kinds >> i) & 1);
  return 0;
}
