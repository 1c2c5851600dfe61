#pragma once
// What the controller reads over wires of its own: its EEPROM and its PHY.
#include <array>

#include "devices/backends/network.h"

namespace armvisor::devices::e1000 {

/// 64 words by the Microwire protocol (317453 section 5.3). A command is a 1, the two bits of the operation and six of
/// the address, each taken when the clock rises; of a read the word follows, from its highest bit on, after a 0.
class Eeprom {
 public:
  explicit Eeprom(const MacAddress& mac);
  u16 word(u32 address) const { return words_[address % words_.size()]; }
  /// EECD is written.
  void drive(u32 eecd);
  /// What is read of EECD.
  u32 wires() const;

 private:
  std::array<u16, 64> words_{};
  u32 eecd_ = 0;
  u32 command_ = 0, command_bits_ = 0;  ///< taken since the chip was selected
  u32 answer_ = 0, answer_bits_ = 0;    ///< still to be given
};

/// A Marvell 88E1011 whose cable has a gigabit link (IEEE 802.3 clause 22).
class Phy {
 public:
  Phy() { reset(); }
  void reset();
  /// MDIC is written: returns what is read of it then. `link`: negotiation has ended.
  u32 access(u32 mdic, bool& link);
  bool loops_back() const;

 private:
  std::array<u16, 32> registers_;
};

}  // namespace armvisor::devices::e1000
