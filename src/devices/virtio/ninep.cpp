#include "devices/virtio/ninep.h"

namespace armvisor::devices::virtio {
namespace {

constexpr std::array<u16, 1> k_queue_sizes = {128};

void list(std::vector<iovec>& to, const std::vector<Segment>& from) {
  to.clear();
  for (const Segment& s : from) to.push_back({s.host, s.length});
}

}  // namespace

Result<std::unique_ptr<NineP>> NineP::create(std::shared_ptr<ninep::SharedFolder> folder) {
  std::unique_ptr<NineP> device(new NineP(std::move(folder)));
  AV_TRY(device->worker_.start(ThreadKind::Share, "9p"));
  return device;
}

/// struct virtio_9p_config: the tag's length and the tag, without an end.
NineP::NineP(std::shared_ptr<ninep::SharedFolder> folder)
    : server_(std::move(folder)),
      worker_(1, {.serve =
                      [this](u16 index) {
                        const auto active = [this] { return worker_.active(); };
                        serve(index, chain_, active, [this](const Chain& c) { return answer(c); });
                      },
                  .forget = [this] { server_.reset(); }}) {
  const std::string& tag = server_.folder().options().tag;
  config_ = {static_cast<u8>(tag.size()), static_cast<u8>(tag.size() >> 8)};
  config_.insert(config_.end(), tag.begin(), tag.end());
}

std::span<const u16> NineP::queue_sizes() const { return k_queue_sizes; }

void NineP::read_config(u32 offset, std::span<u8> out) { copy_config(config_, offset, out); }

std::optional<u32> NineP::answer(const Chain& chain) {
  list(request_, chain.readable);
  list(reply_, chain.writable);
  steps_.begin(measure::Step::Host);
  const auto written = server_.answer(request_, reply_);
  steps_.end(measure::Step::Host);
  if (!written) return std::nullopt;
  chain.mark_written(ram(), *written);
  if (server_.failed()) counters_.errors.add();
  counters_.bytes_to_guest.add(server_.bytes_read());
  counters_.bytes_from_guest.add(server_.bytes_written());
  return written;
}

}  // namespace armvisor::devices::virtio
