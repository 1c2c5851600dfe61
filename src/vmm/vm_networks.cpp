// Networks and forwarded ports, as monitors see and change them.
#include <algorithm>

#include "devices/backends/slirp_network.h"
#include "vmm/vm.h"

namespace armvisor::vmm {
namespace {

Error bad_rule(const std::string& text) {
  return {ErrorKind::BadArguments, "invalid host forwarding rule '" + text + "'"};
}

}  // namespace

std::vector<monitor::NetworkInfo> Vm::networks() {
  const std::lock_guard made(making_mutex_);
  std::vector<monitor::NetworkInfo> all;
  for (const machine::DeviceSpec& spec : devices_) {
    const auto* const card = std::get_if<machine::NetworkSpec>(&spec);
    if (!card) continue;
    const std::string number = std::to_string(all.size());
    monitor::NetworkInfo info;
    info.card = "virtio-net-device." + number;
    info.id = card->name.empty() ? "user." + number : card->name;
    info.mac = devices::mac_text(card->network.mac.value_or(devices::default_mac(static_cast<u32>(all.size()))));
    if (card->tap) info.kind = "tap";
    if (card->link) info.kind = "socket";
    if (card->is_user()) {
      info.kind = "user";
      info.detail =
          "net=" + devices::ipv4_text(card->network.network) + ",restrict=" + (card->network.restricted ? "on" : "off");
    }
    all.push_back(std::move(info));
  }
  return all;
}

Status Vm::add_forward(const std::string& network, const std::string& text) {
  const auto forward = devices::parse_host_forward(text);
  if (!forward) return bad_rule(text);
  return change_forward(network, *forward, true);
}

Status Vm::remove_forward(const std::string& network, const std::string& text) {
  const auto forward = devices::parse_host_forward(text + (text.find('-') == std::string::npos ? "-:1" : ""));
  if (!forward) return bad_rule(text);
  return change_forward(network, *forward, false);
}

/// On the network that runs, and on those that a reset makes.
Status Vm::change_forward(const std::string& network, const devices::HostForward& forward, bool add) {
  const std::lock_guard made(making_mutex_);
  std::size_t place = 0;
  for (machine::DeviceSpec& spec : devices_) {
    auto* const card = std::get_if<machine::NetworkSpec>(&spec);
    if (!card) continue;
    devices::SlirpNetwork* const running = machine_ ? machine_->user_network(place++) : nullptr;
    if (!card->is_user() || (!network.empty() && network != card->name)) continue;
    auto& forwards = card->network.forwards;
    devices::HostForward settled = forward;
    devices::settle_forward(card->network, settled);
    if (running) AV_TRY(add ? running->add_forward(settled) : running->remove_forward(settled));
    if (add)
      forwards.push_back(settled);
    else
      std::erase_if(forwards, [&](const devices::HostForward& f) { return f.same_port(settled); });
    return {};
  }
  return Error{ErrorKind::BadArguments,
               network.empty() ? "user mode network stack not in use" : "unrecognized netdev id '" + network + "'"};
}

}  // namespace armvisor::vmm
