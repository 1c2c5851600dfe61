#include "devices/backends/link_network.h"

#include <poll.h>

#include <array>

namespace armvisor::devices {

Result<std::unique_ptr<LinkNetwork>> LinkNetwork::create(std::shared_ptr<FrameLink> link) {
  AV_TRY_ASSIGN(WakeEvent event, make_event());
  return std::unique_ptr<LinkNetwork>(new LinkNetwork(std::move(link), std::move(event)));
}

void LinkNetwork::run() {
  const FrameLink::Receive receive = [this](std::span<const u8> frame) { client()->receive(frame); };
  bool more = false;
  while (!stopping()) {
    const FrameLink::Wait wait = link_->wait();
    std::array<pollfd, 2> fds = {{{event(), POLLIN, 0}, {wait.fd, wait.events, 0}}};
    ::poll(fds.data(), fds.size(), more ? 0 : wait.timeout_ms);
    if (fds[0].revents) take_event();
    more = client()->transmit_pending();
    link_->sent_all();
    more |= link_->serve(receive);
    client()->received_all();
  }
}

}  // namespace armvisor::devices
