#include "devices/backends/frame_link.h"

#include "devices/backends/datagram_link.h"
#include "devices/backends/stream_link.h"
#include "devices/backends/vde_link.h"
#include "devices/switch/switch_link.h"

namespace armvisor::devices {

Result<std::shared_ptr<FrameLink>> FrameLink::open(const FrameLinkOptions& options, const StopEvent* stop) {
  if (options.kind == FrameLinkOptions::Kind::Datagram) return DatagramLink::open(options);
  if (options.kind == FrameLinkOptions::Kind::Switch) return SwitchLink::open(options);
  if (options.kind == FrameLinkOptions::Kind::Vde) return VdeLink::open(options, stop);
  return StreamLink::open(options);
}

}  // namespace armvisor::devices
