#include "devices/backends/no_network.h"

namespace armvisor::devices {

/// A guest that fills the queue as fast as it is emptied keeps a vCPU here no longer than this; what is left then waits
/// for its next notification.
constexpr int k_most_bursts = 16;

void NoNetwork::wake() {
  for (int i = 0; client_ && i < k_most_bursts && client_->transmit_pending(); ++i) {
  }
}

}  // namespace armvisor::devices
