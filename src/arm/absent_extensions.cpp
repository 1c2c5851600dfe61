#include "arm/absent_extensions.h"

#include <span>

namespace armvisor::arm {
namespace {
constexpr Extension k_virtualization{"Virtualization Extensions", "Hyp"}, k_security{"Security Extensions", "Monitor"};

struct Pattern {
  u32 mask, value;
  const Extension& extension;
};
// Accesses to CP15, alike in both instruction sets but for the condition, for which T32 has 0b1110. Bit 20, which tells
// reads from writes, is in no mask.
constexpr Pattern k_cp15[] = {
    {0x0fe00f10, 0x0e800f10, k_virtualization},  // opc1 == 4: HCR, HVBAR and the others of Hyp mode
    {0x0fe00fff, 0x0c400f42, k_virtualization},  // HTTBR
    {0x0fe00fff, 0x0c400f62, k_virtualization},  // VTTBR
    {0x0fe00fff, 0x0c400f4e, k_virtualization},  // CNTVOFF
    {0x0fe00fff, 0x0c400f6e, k_virtualization},  // CNTHP_CVAL
    {0x0fef0fff, 0x0e010f11, k_security},        // SCR
    {0x0fef0fff, 0x0e010f31, k_security},        // SDER
    {0x0fef0fff, 0x0e0c0f30, k_security},        // MVBAR
};
// MRS and MSR of Banked registers (B9.2.3): SYSm<4:1> is 0b1111 for those of Hyp mode, 0b1110 for those of Monitor
// mode.
constexpr Pattern k_a32[] = {
    {0x0fffffff, 0x0160006e, k_virtualization},  // ERET
    {0x0fbe0fff, 0x010e0300, k_virtualization},  // MRS
    {0x0fbefff0, 0x012ef300, k_virtualization},  // MSR
    {0x0fbe0fff, 0x010c0300, k_security},       {0x0fbefff0, 0x012cf300, k_security},
};
constexpr Pattern k_t32[] = {
    {0xffeef0ff, 0xf3ee8030, k_virtualization},  // MRS
    {0xffe0feff, 0xf3808e30, k_virtualization},  // MSR
    {0xffeef0ff, 0xf3ec8030, k_security},
    {0xffe0feff, 0xf3808c30, k_security},
};

const Extension* find(std::span<const Pattern> patterns, u32 insn) {
  for (const Pattern& p : patterns)
    if ((insn & p.mask) == p.value) return &p.extension;
  return nullptr;
}
}  // namespace

const Extension* absent_extension(u32 insn, bool thumb) {
  const u32 condition = insn >> 28;
  if (thumb ? condition == 0xe : condition != 0xf)
    if (const Extension* extension = find(k_cp15, insn)) return extension;
  if (thumb) return find(k_t32, insn);
  return condition == 0xf ? nullptr : find(k_a32, insn);
}

}  // namespace armvisor::arm
