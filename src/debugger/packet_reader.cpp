#include "debugger/packet_reader.h"

#include <algorithm>

namespace armvisor::debugger {
namespace {

/// -1: no hexadecimal digit.
int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

constexpr char k_escape = '}', k_flip = 0x20;
constexpr std::string_view k_digits = "0123456789abcdef";

}  // namespace

PacketReader::Event PacketReader::take(char c) {
  switch (state_) {
    case State::Between:
      if (c == 0x03) return Event::Interrupt;
      if (c == '-') return Event::Again;
      if (c != '$') return Event::None;
      reset();
      state_ = State::Data;
      return Event::None;
    case State::Data:
      if (c == '$') {  // of a packet that was cut off
        reset();
        state_ = State::Data;
      } else if (c == '#') {
        state_ = State::FirstDigit;
      } else {
        sum_ = static_cast<u8>(sum_ + static_cast<u8>(c));
        too_long_ = too_long_ || data_.size() >= k_max_packet;
        if (!too_long_) data_ += c;
      }
      return Event::None;
    case State::FirstDigit:
      bad_digit_ = digit(c) < 0;
      wanted_ = static_cast<u8>(digit(c) << 4);
      state_ = State::SecondDigit;
      return Event::None;
    case State::SecondDigit:
      state_ = State::Between;
      if (bad_digit_ || digit(c) < 0 || static_cast<u8>(wanted_ | digit(c)) != sum_) return Event::Damaged;
      return too_long_ ? Event::None : Event::Packet;
  }
  return Event::None;
}

std::string make_packet(std::string_view data) {
  std::string out = "$";
  for (const char c : data) {
    if (c == '#' || c == '$' || c == '*' || c == k_escape) {
      out += k_escape;
      out += static_cast<char>(c ^ k_flip);
    } else {
      out += c;
    }
  }
  u8 sum = 0;
  for (const char c : std::string_view(out).substr(1)) sum = static_cast<u8>(sum + static_cast<u8>(c));
  out += '#';
  out += k_digits[sum >> 4];
  out += k_digits[sum & 15];
  return out;
}

std::string unescape(std::string_view data) {
  std::string out;
  for (std::size_t at = 0; at < data.size(); ++at) {
    const bool escaped = data[at] == k_escape && at + 1 < data.size();
    out += escaped ? static_cast<char>(data[++at] ^ k_flip) : data[at];
  }
  return out;
}

std::string to_hex(std::string_view bytes) {
  std::string out;
  out.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const u8 byte = static_cast<u8>(c);
    out += k_digits[byte >> 4];
    out += k_digits[byte & 15];
  }
  return out;
}

bool from_hex(std::string_view text, std::string& bytes) {
  bytes.clear();
  if (text.size() % 2 != 0) return false;
  for (std::size_t at = 0; at < text.size(); at += 2) {
    const int high = digit(text[at]), low = digit(text[at + 1]);
    if (high < 0 || low < 0) return false;
    bytes += static_cast<char>(high << 4 | low);
  }
  return true;
}

bool Words::skip(std::string_view text) {
  if (!rest_.starts_with(text)) return false;
  rest_.remove_prefix(text.size());
  return true;
}

bool Words::number(u64& value) {
  value = 0;
  std::size_t n = 0;
  while (n < rest_.size() && n < 16 && digit(rest_[n]) >= 0) value = value << 4 | static_cast<u64>(digit(rest_[n++]));
  rest_.remove_prefix(n);
  return n != 0;
}

std::string_view Words::until(char end) {
  const std::size_t n = std::min(rest_.find(end), rest_.size());
  const std::string_view word = rest_.substr(0, n);
  rest_.remove_prefix(std::min(n + 1, rest_.size()));
  return word;
}

}  // namespace armvisor::debugger
