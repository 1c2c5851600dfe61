#include "devices/chardev/telnet.h"

#include <array>

namespace armvisor::devices {
namespace {
constexpr u8 SE = 240, BRK = 243, SB = 250, WILL = 251, DO = 253, DONT = 254, IAC = 255;
constexpr u8 BINARY = 0, ECHO = 1, SUPPRESS_GO_AHEAD = 3;
constexpr std::array<u8, 12> k_greeting = {IAC, WILL, ECHO,   IAC, WILL, SUPPRESS_GO_AHEAD,
                                           IAC, WILL, BINARY, IAC, DO,   BINARY};
}  // namespace

std::span<const u8> Telnet::greeting() { return k_greeting; }

u32 Telnet::take(std::span<const u8> input, std::vector<u8>& data) {
  u32 breaks = 0;
  for (const u8 c : input) {
    switch (state_) {
      case State::Data:
        if (c == IAC)
          state_ = State::Command;
        else
          data.push_back(c);
        break;
      case State::Command:
        state_ = c == SB ? State::Negotiation : c >= WILL && c <= DONT ? State::Option : State::Data;
        if (c == IAC) data.push_back(c);
        if (c == BRK) ++breaks;
        break;
      case State::Option: state_ = State::Data; break;
      case State::Negotiation:
        if (c == IAC) state_ = State::NegotiationCommand;
        break;
      case State::NegotiationCommand: state_ = c == SE ? State::Data : State::Negotiation; break;
    }
  }
  return breaks;
}

std::vector<u8> Telnet::escaped(std::span<const u8> data) {
  std::vector<u8> out;
  out.reserve(data.size());
  for (const u8 c : data) {
    if (c == IAC) out.push_back(IAC);
    out.push_back(c);
  }
  return out;
}

}  // namespace armvisor::devices
