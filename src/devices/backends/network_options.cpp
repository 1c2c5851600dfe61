#include "devices/backends/network_options.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

namespace armvisor::devices {
namespace {

constexpr std::string_view k_forward_form = "tcp|udp:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT";

Error bad(std::string message) { return {ErrorKind::BadArguments, std::move(message)}; }

/// Cuts `text` at the first `separator`; the rest is what follows it, or nothing.
std::string_view take_until(std::string_view& text, char separator) {
  const std::size_t at = text.find(separator);
  const std::string_view head = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view{} : text.substr(at + 1);
  return head;
}

std::optional<u16> parse_port(std::string_view text) {
  u16 port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

/// [ADDRESS]:PORT, with an address of IPv6 in brackets.
Status parse_endpoint(std::string_view text, std::string_view whole, IpAddress& address, u16& port) {
  const std::size_t bracket = text.starts_with('[') ? text.find(']') : 0;
  const std::size_t colon = bracket == std::string_view::npos ? bracket : text.find(':', bracket);
  if (colon == std::string_view::npos) return bad(fmt::format("hostfwd={}: expected {}", whole, k_forward_form));
  const std::string_view a = text.substr(0, colon);
  if (bracket) {
    const auto parsed = a.ends_with(']') ? parse_ipv6(a.substr(1, a.size() - 2)) : std::nullopt;
    if (!parsed) return bad(fmt::format("hostfwd={}: '{}' is not an IPv6 address", whole, a));
    address = *parsed;
  } else if (!a.empty()) {
    const auto parsed = parse_ipv4(a);
    if (!parsed) return bad(fmt::format("hostfwd={}: '{}' is not an IPv4 address", whole, a));
    address = *parsed;
  }
  const auto parsed = parse_port(text.substr(colon + 1));
  if (!parsed) return bad(fmt::format("hostfwd={}: '{}' is not a port (1 to 65535)", whole, text.substr(colon + 1)));
  port = *parsed;
  return {};
}

/// Of whichever end names no address: that of the version of IP that the other end has.
void settle_versions(HostForward& f) {
  const IpAddress any6(0, 0);
  if (f.host_address.is_unspecified() && !f.guest_address.is_ipv4()) f.host_address = any6;
  if (f.guest_address.is_unspecified() && !f.host_address.is_ipv4()) f.guest_address = any6;
}

/// The bits of `address` that name its network.
IpAddress network_bits(const IpAddress& address, u32 bits) {
  const u64 high = bits == 0 ? 0 : bits >= 64 ? ~u64{0} : ~u64{0} << (64 - bits);
  const u64 low = bits <= 64 ? 0 : ~u64{0} << (128 - bits);
  return {address.high & high, address.low & low};
}

MacAddress random_mac() {
  MacAddress mac = {0x52, 0x54};
  if (::getrandom(mac.data() + 2, mac.size() - 2, 0) < 0) return default_mac(static_cast<u32>(::getpid()) & 0xffff);
  return mac;
}

}  // namespace

Result<HostForward> parse_host_forward(std::string_view text) {
  HostForward f;
  const std::string_view whole = text;
  const std::string_view protocol = take_until(text, ':');
  // QEMU's short form leaves the protocol out: "::2222-:22" and ":2222-:22" are TCP.
  if (protocol != "tcp" && protocol != "udp" && !protocol.empty())
    return bad(fmt::format("hostfwd={}: expected tcp or udp, found '{}' ({})", whole, protocol, k_forward_form));
  if (protocol.empty() && text.find(':') >= text.find('-')) text = whole;
  f.udp = protocol == "udp";
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return bad(fmt::format("hostfwd={}: expected {}", whole, k_forward_form));
  AV_TRY(parse_endpoint(text.substr(0, dash), whole, f.host_address, f.host_port));
  AV_TRY(parse_endpoint(text.substr(dash + 1), whole, f.guest_address, f.guest_port));
  settle_versions(f);
  if (f.host_address.is_ipv4() != f.guest_address.is_ipv4())
    return bad(fmt::format("hostfwd={}: expected addresses of one version of IP, found both", whole));
  return f;
}

Result<GuestForward> take_guest_address(std::string_view& text) {
  const std::string whole(text);
  const std::string_view protocol = take_until(text, ':'), address = take_until(text, ':'),
                         port = take_until(text, '-');
  GuestForward f;
  const auto parsed = parse_port(port);
  if ((!protocol.empty() && protocol != "tcp") || !parsed)
    return bad(fmt::format("guestfwd={}: expected [tcp]:GUESTADDR:PORT-...", whole));
  f.port = *parsed;
  if (!address.empty()) {
    const auto ip = parse_ipv4(address);
    if (!ip) return bad(fmt::format("guestfwd={}: '{}' is not an IPv4 address", whole, address));
    f.address = *ip;
  }
  return f;
}

Result<GuestForward> parse_guest_forward(std::string_view text) {
  constexpr std::string_view k_command = "cmd:";
  const std::string_view whole = text;
  AV_TRY_ASSIGN(GuestForward f, take_guest_address(text));
  if (!text.starts_with(k_command) || text.size() == k_command.size())
    return bad(
        fmt::format("guestfwd={}: expected [tcp]:GUESTADDR:PORT-cmd:COMMAND: a program is what can be there; 'cmd:nc "
                    "HOST PORT' makes a connection",
                    whole));
  f.command = text.substr(k_command.size());
  return f;
}

bool set_network(UserNetworkOptions& options, std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  u32 bits = 0;
  const auto address = parse_ipv4(text.substr(0, slash));
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data() + slash + 1, end, bits);
  if (!address || error != std::errc{} || at != end || bits < 8 || bits > 28) return false;
  options.netmask = ~u32{0} << (32 - bits);
  options.network = *address & options.netmask;
  const auto usual = [&](u32 host) { return options.network | (host & ~options.netmask); };  // QEMU's choice
  options.host = usual(0x0202);
  options.name_server = usual(0x0203);
  options.first_lease = usual(0x020f);
  return true;
}

bool set_address(const UserNetworkOptions& options, std::string_view text, u32& address) {
  const auto parsed = parse_ipv4(text);
  if (!parsed || (*parsed & options.netmask) != options.network) return false;
  address = *parsed;
  return true;
}

bool set_network6(UserNetworkOptions& options, std::string_view text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  u32 bits = 64;
  const char* const end = text.data() + text.size();
  if (slash < text.size()) {
    const auto [at, error] = std::from_chars(text.data() + slash + 1, end, bits);
    if (error != std::errc{} || at != end || bits < 1 || bits > 126) return false;
  }
  const auto address = parse_ipv6(text.substr(0, slash));
  if (!address) return false;
  options.network6 = *address;
  options.network6_bits = bits;
  options.host6 = {address->high, address->low | 2};
  options.name_server6 = {address->high, address->low | 3};
  return true;
}

bool in_network6(const UserNetworkOptions& options, const IpAddress& address) {
  return network_bits(address, options.network6_bits) == network_bits(options.network6, options.network6_bits);
}

bool set_host6(UserNetworkOptions& options, std::string_view text) {
  const auto parsed = parse_ipv6(text);
  if (!parsed || !in_network6(options, *parsed)) return false;
  options.host6 = *parsed;
  return true;
}

void settle_forward(const UserNetworkOptions& options, HostForward& forward) {
  if (forward.guest_address == IpAddress()) forward.guest_address = options.first_lease;
}

void settle_forwards(UserNetworkOptions& options) {
  for (HostForward& forward : options.forwards) settle_forward(options, forward);
}

Result<MacAddress> parse_mac(std::string_view text) {
  const Error error = bad(fmt::format("mac={}: expected six pairs of hexadecimal digits, as 52:54:00:12:34:56", text));
  MacAddress mac;
  std::string_view rest = text;
  for (std::size_t i = 0; i < mac.size(); ++i) {
    const std::string_view part = take_until(rest, ':');
    const auto [end, e] = std::from_chars(part.data(), part.data() + part.size(), mac[i], 16);
    if (e != std::errc{} || end != part.data() + part.size() || part.size() > 2) return error;
  }
  if (text.size() < 11 || !rest.empty() || text.back() == ':') return error;
  if (mac[0] & 1) return bad(fmt::format("mac={}: that is a multicast address", text));
  return mac;
}

std::string mac_text(const MacAddress& mac) { return fmt::format("{:02x}", fmt::join(mac, ":")); }

MacAddress default_mac(u32 index) {
  return {0x52, 0x54, 0x00, 0x12, static_cast<u8>(0x34 + (index >> 8)), static_cast<u8>(0x56 + index)};
}

MacAddress switch_mac(std::string_view switch_name, std::string_view machine, u32 index) {
  if (machine.empty()) return random_mac();
  u64 hash = 0xcbf29ce484222325;  // FNV-1a, the same on all hosts
  for (const char c : fmt::format("{}/{}/{}", switch_name, machine, index))
    hash = (hash ^ static_cast<u8>(c)) * 0x100000001b3;
  MacAddress mac = {0x52, 0x54};
  for (std::size_t i = 2; i < mac.size(); ++i) mac[i] = static_cast<u8>(hash >> (8 * i));
  return mac;
}

}  // namespace armvisor::devices
