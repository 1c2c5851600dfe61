#pragma once
// The framing of gdb's remote protocol: "$DATA#CC" with a sum over the data, '+' and '-' between packets, and the byte
// 0x03, which interrupts. Memory is bounded: a packet that is longer than k_max_packet is dropped whole.
#include <span>
#include <string>
#include <string_view>

#include "base/types.h"

namespace armvisor::debugger {

/// Bytes between '$' and '#', as qSupported tells it.
inline constexpr std::size_t k_max_packet = 0x4000;

class PacketReader {
 public:
  enum class Event : u8 {
    None,
    Packet,     ///< packet() is complete
    Damaged,    ///< its sum was wrong
    Interrupt,  ///< 0x03 between packets
    Again,      ///< '-': the last one that was sent is to be sent again
  };
  /// Takes one byte.
  Event take(char c);
  /// The data of the packet that is complete, as it was sent: what '}' escapes is still escaped.
  const std::string& packet() const { return data_; }
  void reset() { *this = {}; }

 private:
  enum class State : u8 { Between, Data, FirstDigit, SecondDigit };
  State state_ = State::Between;
  std::string data_;
  u8 sum_ = 0, wanted_ = 0;
  bool too_long_ = false, bad_digit_ = false;
};

/// The packet of `data`, whose bytes '#', '$', '}' and '*' are escaped.
std::string make_packet(std::string_view data);
/// What '}' escapes in `data`, put back.
std::string unescape(std::string_view data);

std::string to_hex(std::string_view bytes);
inline std::string to_hex(std::span<const u8> bytes) {
  return to_hex(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}
/// False: not pairs of hexadecimal digits.
bool from_hex(std::string_view text, std::string& bytes);

/// What a packet says, from its start on: takes what it finds.
class Words {
 public:
  explicit Words(std::string_view text) : rest_(text) {}
  std::string_view rest() const { return rest_; }
  bool empty() const { return rest_.empty(); }
  bool skip(std::string_view text);
  /// A hexadecimal number of at most 16 digits. False: there is none.
  bool number(u64& value);
  /// Up to `end`, which goes too, or to the end.
  std::string_view until(char end);

 private:
  std::string_view rest_;
};

}  // namespace armvisor::debugger
