#pragma once
// An address of the Internet Protocol, of either version, as a value.
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/types.h"

namespace armvisor::devices {

/// The 128 bits of an IPv6 address, in host byte order. An IPv4 address is kept as IPv6 maps it (RFC 4291 2.5.5.2), so
/// the two are never equal; no packet of IPv6 has a mapped address.
struct IpAddress {
  u64 high = 0, low = k_mapped;

  constexpr IpAddress() = default;                         ///< 0.0.0.0
  constexpr IpAddress(u32 ipv4) : low(k_mapped | ipv4) {}  // NOLINT: an IPv4 address is one
  constexpr IpAddress(u64 h, u64 l) : high(h), low(l) {}
  bool operator==(const IpAddress&) const = default;

  constexpr bool is_ipv4() const { return high == 0 && low >> 32 == k_mapped >> 32; }
  constexpr u32 ipv4() const { return static_cast<u32>(low); }
  /// 0.0.0.0 or ::
  constexpr bool is_unspecified() const { return high == 0 && (low == 0 || low == k_mapped); }
  /// 127.0.0.0/8 or ::1, and 0.0.0.0/8 or ::, which a host takes for it as well.
  constexpr bool is_loopback() const {
    return is_ipv4() ? ipv4() >> 24 == 127 || ipv4() >> 24 == 0 : high == 0 && low <= 1;
  }
  /// Of IPv6 (RFC 4291 2.7).
  constexpr bool is_multicast6() const { return high >> 56 == 0xff; }

  static constexpr u64 k_mapped = 0xffff'0000'0000;
};

/// The IPv6 address at bytes[at]..., in network byte order.
IpAddress get_ipv6(std::span<const u8> bytes, std::size_t at);
void put_ipv6(std::span<u8> bytes, std::size_t at, const IpAddress& address);
/// As RFC 4291 2.2 has it, without brackets. Mapped addresses are none.
std::optional<IpAddress> parse_ipv6(std::string_view text);
/// IPv6 addresses in brackets, as they stand before a port.
std::string ip_text(const IpAddress& address);
std::string ipv4_text(u32 address);
std::optional<u32> parse_ipv4(std::string_view text);

}  // namespace armvisor::devices
