#pragma once
// The option --net of the command line: KIND[,OPTION]..., as docs/guide.md has it.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "devices/backends/frame_link.h"
#include "devices/backends/ip_address.h"
#include "devices/backends/network.h"
#include "devices/backends/packet_dump.h"
#include "devices/backends/tap_link.h"

namespace armvisor::devices {

/// hostfwd=tcp|udp:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT. Both addresses are of the same version of IP; those of
/// IPv6 are in brackets.
struct HostForward {
  bool udp = false;
  IpAddress host_address;  ///< 0.0.0.0, or ::, every address of the host
  u16 host_port = 0;
  IpAddress guest_address;  ///< 0.0.0.0: not said; settle_forward() says which it is
  u16 guest_port = 0;
  bool operator==(const HostForward&) const = default;
  /// Whether both are of one port of the host's: one of them at most can be.
  bool same_port(const HostForward& other) const {
    return udp == other.udp && host_port == other.host_port && host_address == other.host_address;
  }
};

/// guestfwd=[tcp]:GUESTADDR:PORT-cmd:COMMAND. A connection of the guest's to that address of its network has a program
/// of the host's at its other end, a new one each time; or else a character device, which all connections share.
struct GuestForward {
  u32 address = 0;  ///< IPv4, in host byte order; 0: libslirp's choice
  u16 port = 0;
  std::string command;        ///< with arguments, quoted as a shell has them; empty: a character device
  std::optional<u32> line{};  ///< the device's place in the machine's list; nothing: nobody is there
  bool is_line() const { return command.empty(); }
  bool operator==(const GuestForward&) const = default;
};

/// The user-mode network. Unless it is said otherwise: guest 10.0.2.15 (by DHCP), host 10.0.2.2, name server 10.0.2.3;
/// and with IPv6 an address of fec0::/64 that the guest makes itself, host fec0::2, name server fec0::3.
struct UserNetworkOptions {
  bool ipv4 = true, ipv6 = true;
  // IPv4, in host byte order.
  u32 network = 0x0a000200, netmask = 0xffffff00;
  u32 host = 0x0a000202, name_server = 0x0a000203;
  u32 first_lease = 0x0a00020f;  ///< the first address that DHCP gives out
  IpAddress network6{0xfec0'0000'0000'0000, 0}, host6{0xfec0'0000'0000'0000, 2}, name_server6{0xfec0'0000'0000'0000, 3};
  u32 network6_bits = 64;  ///< 1 to 126
  // What DHCP tells the guest; empty: nothing.
  std::string host_name, domain, boot_file, tftp_server;
  std::vector<std::string> search_domains;
  std::string
      tftp_folder;  ///< of the host, whose files the guest may read by TFTP from the host's address; empty: none
  std::vector<HostForward> forwards;
  std::vector<GuestForward> guest_forwards;
  std::optional<MacAddress> mac;
  bool restricted = false;    ///< the guest reaches nothing outside; forwards still work
  bool host_loopback = true;  ///< the address of the host is its loopback; else nobody answers there
  /// TCP connections that there may be at once, and UDP ports and pings together.
  u32 flows = k_default_flows;
  static constexpr u32 k_default_flows = 256, k_max_flows = 65536;
};

/// A network: on a tap interface, at an end of a link, or else the user-mode one.
struct NetworkOptions {
  UserNetworkOptions network{};  ///< of all kinds: mac
  std::optional<TapOptions> tap{};
  std::optional<FrameLinkOptions> link{};
  std::vector<DumpOptions> dumps{};
};

Result<NetworkOptions> parse_network_option(std::string_view option);
Result<HostForward> parse_host_forward(std::string_view text);
Result<GuestForward> parse_guest_forward(std::string_view text);
/// What guestfwd= says before what is at the other end, which `text` is cut to: [tcp]:GUESTADDR:PORT-.
Result<GuestForward> take_guest_address(std::string_view& text);
/// net=ADDRESS/BITS (8 to 28), from which the addresses are derived that are not said themselves. False: it is none.
bool set_network(UserNetworkOptions& options, std::string_view text);
/// Sets one of the addresses of `options`. False: it is none of its network.
bool set_address(const UserNetworkOptions& options, std::string_view text, u32& address);
/// ipv6-net=PREFIX[/BITS] (1 to 126; 64 unless said), from which the addresses of IPv6 are derived that are not said
/// themselves. False: it is none.
bool set_network6(UserNetworkOptions& options, std::string_view text);
bool in_network6(const UserNetworkOptions& options, const IpAddress& address);
/// Sets host6. False: it is no address of its network.
bool set_host6(UserNetworkOptions& options, std::string_view text);
/// A forward of IPv4 that names no address of the guest goes to the first that DHCP gives out.
void settle_forward(const UserNetworkOptions& options, HostForward& forward);
/// All that are in `options`; to be called when its addresses are known.
void settle_forwards(UserNetworkOptions& options);
Result<MacAddress> parse_mac(std::string_view text);
std::string mac_text(const MacAddress& mac);
/// The address of the index-th network device whose option gives none; locally administered.
MacAddress default_mac(u32 index);
/// That of a machine's index-th network device, which is on a switch: the same each time that a machine of this name is
/// on this switch, and random for one without a name. Most likely no other machine has it; locally administered.
MacAddress switch_mac(std::string_view switch_name, std::string_view machine, u32 index);

}  // namespace armvisor::devices
