#include "devices/ethernet/e1000_parts.h"

#include "base/bits.h"
#include "devices/ethernet/e1000_registers.h"

namespace armvisor::devices::e1000 {
namespace {
constexpr u32 k_command_size = 9, k_read = 0b110;
constexpr u16 k_device = 0x100e, k_intel = 0x8086, k_checksum = 0xbaba;
enum Word : u32 { Control1 = 0x0a, Subsystem, SubsystemVendor, Device, Vendor, Control2, Checksum = 0x3f };

enum PhyRegister : u32 {
  Control = 0,
  Status = 1,
  Id1 = 2,
  Id2 = 3,
  Advertised = 4,
  Partner = 5,
  Expansion = 6,
  GigabitControl = 9,
  GigabitStatus = 10,
  ExtendedStatus = 15,
  Specific = 16,
  SpecificStatus = 17,
  InterruptEnable = 18,
  ExtendedSpecific = 20,
  Led = 24,
  PageSelect = 29,
  Page = 30
};
constexpr u16 k_phy_reset = 0x8000, k_phy_loopback = 0x4000, k_phy_negotiate = 0x1000, k_phy_restart = 0x0200;
constexpr u32 k_phy_address = 1;

bool is_writable(u32 reg) {
  switch (reg) {
    case Control:
    case Advertised:
    case GigabitControl:
    case Specific:
    case InterruptEnable:
    case ExtendedSpecific:
    case Led:
    case PageSelect:
    case Page: return true;
    default: return false;
  }
}
}  // namespace

Eeprom::Eeprom(const MacAddress& mac) {
  for (u32 n = 0; n < 3; ++n) words_[n] = static_cast<u16>(mac[2 * n] | mac[2 * n + 1] << 8);
  words_[Control1] = 0x4008;  // the words below are valid
  words_[Subsystem] = words_[Device] = k_device;
  words_[SubsystemVendor] = words_[Vendor] = k_intel;
  words_[Control2] = 0x3040;
  u16 sum = 0;
  for (u32 n = 0; n < Checksum; ++n) sum = static_cast<u16>(sum + words_[n]);
  words_[Checksum] = static_cast<u16>(k_checksum - sum);
}

void Eeprom::drive(u32 eecd) {
  const bool rises = !(eecd_ & k_eecd_clock) && (eecd & k_eecd_clock);
  const bool begins = !(eecd_ & k_eecd_select) && (eecd & k_eecd_select);
  eecd_ = eecd & (k_eecd_clock | k_eecd_select | k_eecd_in | k_eecd_request);
  if (begins) command_ = command_bits_ = answer_ = answer_bits_ = 0;
  if (!(eecd & k_eecd_select) || !rises) return;
  if (answer_bits_) {
    --answer_bits_;
    return;
  }
  const u32 bit = (eecd & k_eecd_in) ? 1 : 0;
  if (command_bits_ == 0 && !bit) return;  // it begins with a 1
  command_ = command_ << 1 | bit;
  if (++command_bits_ < k_command_size) return;
  if (command_ >> 6 == k_read) {
    answer_ = word(command_ & 0x3f);
    answer_bits_ = 17;
  }
  command_ = command_bits_ = 0;
}

u32 Eeprom::wires() const {
  const bool out = answer_bits_ == 0 || (answer_bits_ <= 16 && (answer_ >> (answer_bits_ - 1) & 1));
  return eecd_ | (out ? k_eecd_out : 0) | k_eecd_present | (eecd_ & k_eecd_request ? k_eecd_grant : 0);
}

void Phy::reset() {
  registers_ = {};
  registers_[Control] = 0x1140;  // negotiates; full duplex at 1000 Mb/s
  registers_[Status] = 0x796d;   // has negotiated; link
  registers_[Id1] = 0x0141;
  registers_[Id2] = 0x0c20;
  registers_[Advertised] = 0x0de1;
  registers_[Partner] = 0x41e1;
  registers_[Expansion] = 1;
  registers_[GigabitControl] = 0x0e00;
  registers_[GigabitStatus] = 0x3c00;
  registers_[ExtendedStatus] = 0x3000;
  registers_[Specific] = 0x0360;
  registers_[SpecificStatus] = 0xac00;  // 1000 Mb/s, full duplex, link
  registers_[ExtendedSpecific] = 0x0d60;
}

u32 Phy::access(u32 mdic, bool& link) {
  link = false;
  const u32 reg = bits<20, 16>(mdic), address = bits<25, 21>(mdic);
  mdic |= k_mdic_ready;
  if (address != k_phy_address) return mdic | k_mdic_error;
  if (mdic & k_mdic_read) return (mdic & ~0xffffu) | registers_[reg];
  if (!(mdic & k_mdic_write) || !is_writable(reg)) return mdic;
  const u16 value = static_cast<u16>(mdic);
  if (reg == Control && (value & k_phy_reset)) {
    reset();
    link = true;
    return mdic;
  }
  registers_[reg] = value;
  if (reg == Control) {
    link = (value & k_phy_negotiate) && (value & k_phy_restart);
    registers_[Control] &= static_cast<u16>(~k_phy_restart);
  }
  return mdic;
}

bool Phy::loops_back() const { return (registers_[Control] & k_phy_loopback) != 0; }

}  // namespace armvisor::devices::e1000
