#include "devices/backends/thread_network.h"

#include "base/thread.h"

namespace armvisor::devices {

Status ThreadNetwork::start(NetworkClient& client) {
  client_ = &client;
  AV_TRY_ASSIGN(thread_, start_quiet_thread(ThreadKind::Network | duties(), "network", [this] { run(); }));
  return {};
}

void ThreadNetwork::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wake();
  thread_.join();
  client_ = nullptr;
}

}  // namespace armvisor::devices
