#pragma once
// The telnet protocol (RFC 854) as a console needs it: the peer is asked for single characters that are not echoed by
// itself (RFC 857, RFC 858), in eight bits (RFC 856); whatever it answers is taken out of the input.
#include <span>
#include <vector>

#include "base/types.h"

namespace armvisor::devices {

class Telnet {
 public:
  /// What is said first, as QEMU says it: WILL ECHO, WILL SUPPRESS-GO-AHEAD, WILL and DO BINARY.
  static std::span<const u8> greeting();
  /// Appends what of the input is data. Returns how many breaks (RFC 854, BRK) came. Remembers a command that is not
  /// complete, in a byte.
  u32 take(std::span<const u8> input, std::vector<u8>& data);
  /// Output as it is sent: a byte 255 is doubled.
  static std::vector<u8> escaped(std::span<const u8> data);

 private:
  enum class State : u8 { Data, Command, Option, Negotiation, NegotiationCommand };
  State state_ = State::Data;
};

}  // namespace armvisor::devices
