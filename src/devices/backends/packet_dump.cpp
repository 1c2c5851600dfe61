#include "devices/backends/packet_dump.h"

#include <time.h>

#include <algorithm>
#include <cstring>

#include "base/log_once.h"

namespace armvisor::devices {
namespace {

/// Of a file, in the host's order of bytes.
struct FileHeader {
  u32 magic = 0xa1b2c3d4;  ///< with times in microseconds
  u16 major = 2, minor = 4;
  u32 zone = 0, accuracy = 0;
  u32 most_bytes;
  u32 link_type = 1;  ///< Ethernet
};
static_assert(sizeof(FileHeader) == 24);

/// Before each frame.
struct RecordHeader {
  u32 seconds, microseconds;
  u32 kept, bytes;
};
static_assert(sizeof(RecordHeader) == 16);

template <class T>
std::span<const u8> bytes_of(const T& value) {
  return {reinterpret_cast<const u8*>(&value), sizeof value};
}

}  // namespace

Result<std::shared_ptr<PacketDump>> PacketDump::open(const DumpOptions& options,
                                                     const std::vector<std::string>& inputs) {
  AV_TRY_ASSIGN(OutputFile file, OutputFile::open(options.option, options.path));
  AV_TRY(file.differs_from(inputs));
  return std::shared_ptr<PacketDump>(new PacketDump(options, std::move(file)));
}

PacketDump::~PacketDump() {
  if (outlet_) outlet_->close();
}

Status PacketDump::start() {
  AV_TRY(file_.empty());
  waits_ = file_.is_regular();
  Outlet::Target target = std::move(file_).take();
  target.capacity = k_most_waiting;
  target.records = true;
  AV_TRY_ASSIGN(auto outlet, Outlet::create(std::move(target)));
  {
    const std::lock_guard lock(mutex_);
    outlet_ = std::move(outlet);
    if (given_up_) outlet_->give_up();
  }
  const FileHeader header{.most_bytes = options_.most_bytes};
  put(bytes_of(header));
  return {};
}

void PacketDump::add(std::span<const u8> frame, bool from_guest) {
  using enum DumpOptions::Direction;
  if (!options_.on || options_.direction == (from_guest ? ToGuest : FromGuest)) return;
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  const auto kept = static_cast<u32>(std::min<std::size_t>(frame.size(), options_.most_bytes));
  const RecordHeader header{static_cast<u32>(now.tv_sec), static_cast<u32>(now.tv_nsec / 1000), kept,
                            static_cast<u32>(frame.size())};
  record_.resize(sizeof header + kept);
  std::memcpy(record_.data(), &header, sizeof header);
  std::memcpy(record_.data() + sizeof header, frame.data(), kept);
  put(record_);
}

void PacketDump::put(std::span<const u8> record) {
  if (waits_) {
    if (const int error = outlet_->write(record))
      AV_LOG_ONCE(Warn, "%s: the rest is missing: %s", options_.option.c_str(), std::strerror(error));
  } else if (!outlet_->offer(record)) {
    AV_LOG_ONCE(Warn, "%s: frames are missing: %s does not take them", options_.option.c_str(), options_.path.c_str());
  }
}

void PacketDump::give_up() {
  const std::lock_guard lock(mutex_);
  given_up_ = true;
  if (outlet_) outlet_->give_up();
}

void PacketDump::drain() {
  if (outlet_) outlet_->drain();
}

Status DumpedNetwork::start(NetworkClient& client) {
  client_ = &client;
  return network_->start(*this);
}

void DumpedNetwork::send(std::span<const u8> frame) {
  for (const auto& dump : dumps_) dump->add(frame, true);
  network_->send(frame);
}

void DumpedNetwork::receive(std::span<const u8> frame) {
  for (const auto& dump : dumps_) dump->add(frame, false);
  client_->receive(frame);
}

}  // namespace armvisor::devices
