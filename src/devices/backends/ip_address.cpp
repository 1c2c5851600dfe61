#include "devices/backends/ip_address.h"

#include <arpa/inet.h>

#include <array>

#include "devices/frame_bytes.h"

namespace armvisor::devices {

IpAddress get_ipv6(std::span<const u8> bytes, std::size_t at) {
  return {u64{get32(bytes, at)} << 32 | get32(bytes, at + 4), u64{get32(bytes, at + 8)} << 32 | get32(bytes, at + 12)};
}

void put_ipv6(std::span<u8> bytes, std::size_t at, const IpAddress& address) {
  put32(bytes, at, static_cast<u32>(address.high >> 32));
  put32(bytes, at + 4, static_cast<u32>(address.high));
  put32(bytes, at + 8, static_cast<u32>(address.low >> 32));
  put32(bytes, at + 12, static_cast<u32>(address.low));
}

std::optional<IpAddress> parse_ipv6(std::string_view text) {
  std::array<u8, 16> bytes;
  if (inet_pton(AF_INET6, std::string(text).c_str(), bytes.data()) != 1) return std::nullopt;
  const IpAddress address = get_ipv6(bytes, 0);
  if (address.is_ipv4()) return std::nullopt;
  return address;
}

std::string ip_text(const IpAddress& address) {
  if (address.is_ipv4()) return ipv4_text(address.ipv4());
  std::array<u8, 16> bytes;
  put_ipv6(bytes, 0, address);
  char buffer[INET6_ADDRSTRLEN] = {};
  inet_ntop(AF_INET6, bytes.data(), buffer, sizeof buffer);
  return '[' + std::string(buffer) + ']';
}

std::optional<u32> parse_ipv4(std::string_view text) {
  in_addr address = {};
  if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

std::string ipv4_text(u32 address) {
  const in_addr a = {htonl(address)};
  char buffer[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, &a, buffer, sizeof buffer);
  return buffer;
}

}  // namespace armvisor::devices
