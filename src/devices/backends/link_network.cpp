#include "devices/backends/link_network.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/host_error.h"
#include "base/thread.h"

namespace armvisor::devices {

Result<std::unique_ptr<LinkNetwork>> LinkNetwork::create(std::shared_ptr<FrameLink> link) {
  Fd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return host_error("network: expected an eventfd", errno, "end other programs");
  return std::unique_ptr<LinkNetwork>(new LinkNetwork(std::move(link), std::move(event)));
}

Status LinkNetwork::start(NetworkClient& client) {
  client_ = &client;
  AV_TRY_ASSIGN(thread_, start_quiet_thread("network", [this] { run(); }));
  return {};
}

void LinkNetwork::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wake();
  thread_.join();
  client_ = nullptr;
}

void LinkNetwork::wake() {
  const u64 one = 1;
  // A full counter (EAGAIN) wakes as well.
  [[maybe_unused]] const ssize_t n = ::write(event_.get(), &one, sizeof one);
}

void LinkNetwork::run() {
  const FrameLink::Receive receive = [this](std::span<const u8> frame) { client_->receive(frame); };
  bool more = false;
  while (!stopping_) {
    const FrameLink::Wait wait = link_->wait();
    std::array<pollfd, 2> fds = {{{event_.get(), POLLIN, 0}, {wait.fd, wait.events, 0}}};
    ::poll(fds.data(), fds.size(), more ? 0 : wait.timeout_ms);
    u64 count = 0;
    if (fds[0].revents) [[maybe_unused]]
      const ssize_t n = ::read(event_.get(), &count, sizeof count);
    more = client_->transmit_pending();
    link_->sent_all();
    more |= link_->serve(receive);
    client_->received_all();
  }
}

}  // namespace armvisor::devices
