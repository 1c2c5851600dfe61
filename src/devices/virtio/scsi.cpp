#include "devices/virtio/scsi.h"

#include <algorithm>
#include <cstring>

#include "devices/scsi/opcodes.h"

namespace armvisor::devices::virtio {
namespace {

constexpr std::array<u16, 3> k_queue_sizes = {256, 256, 256};

// Offsets of struct virtio_scsi_config, 5.6.4, and what is in it.
enum Config : u32 { SenseSize = 20, CdbSize = 24 };
constexpr u32 k_usual_sense = 96, k_usual_cdb = 32;
constexpr u32 k_most = 255;  ///< bytes of sense data and of commands that a driver may ask for

// Requests, 5.6.6.1 and 5.6.6.2: a header, then the command or what to do to tasks; answers: a header, then sense data.
constexpr std::size_t k_header = 19, k_response = 12, k_lun = 8;
struct Response {
  u32 sense_length;
  u32 residual;
  u16 qualifier;
  u8 status;
  u8 response;
};
static_assert(sizeof(Response) == k_response);
enum ResponseCode : u8 { Ok = 0, Overrun = 1, BadTarget = 3, FunctionRejected = 11, IncorrectLun = 12 };

// Of the control queue: kinds of requests, and of task management functions.
enum ControlType : u32 { TaskManagement = 0, NotificationQuery = 1, NotificationSubscribe = 2 };
constexpr u32 k_last_function = 7;

/// What of buffers lies behind the first `skip` bytes.
void behind(std::vector<iovec>& to, const std::vector<Segment>& from, u64 skip) {
  to.clear();
  for (const Segment& s : from) {
    const u64 start = std::min<u64>(skip, s.length);
    skip -= start;
    if (start < s.length) to.push_back({s.host + start, s.length - start});
  }
}

/// 5.6.6.1: a first byte of 1, the target, and the LUN in flat or, for small ones, peripheral format.
std::optional<ScsiAddress> address_of(const u8* lun) {
  const u8 format = lun[2] >> 6;
  if (lun[0] != 1 || format > 1) return std::nullopt;
  return ScsiAddress{lun[1], static_cast<u16>((lun[2] & 0x3f) << 8 | lun[3])};
}

}  // namespace

Result<std::unique_ptr<Scsi>> Scsi::create(std::vector<Place> units) {
  std::unique_ptr<Scsi> scsi(new Scsi(std::move(units)));
  AV_TRY(scsi->worker_.start(ThreadKind::Disk, "scsi"));
  return scsi;
}

Scsi::Scsi(std::vector<Place> units)
    : units_(std::move(units)),
      sense_size_(k_usual_sense),
      cdb_size_(k_usual_cdb),
      worker_(k_queue_sizes.size(), {.serve = [this](u16 index) { serve_queue(index); },
                                     .end =
                                         [this] {
                                           for (const Place& p : units_) p.unit->flush();
                                         }}) {}

std::span<const u16> Scsi::queue_sizes() const { return k_queue_sizes; }

void Scsi::read_config(u32 offset, std::span<u8> out) {
  std::array<u32, 9> config{};
  config[0] = 1;                      // request queues
  config[1] = k_queue_sizes[2] - 2u;  // segments
  config[2] = 0xffff;                 // sectors
  config[3] = 128;                    // commands to a unit
  config[4] = 16;                     // bytes of an event
  {
    const std::lock_guard lock(config_mutex_);
    config[5] = sense_size_;
    config[6] = cdb_size_;
  }
  config[7] = u32{ScsiAddress::k_max_target} << 16;  // channels: up to 0
  config[8] = ScsiAddress::k_max_lun;
  copy_config({reinterpret_cast<const u8*>(config.data()), sizeof config}, offset, out);
}

void Scsi::write_config(u32 offset, std::span<const u8> in) {
  u32 value = 0;
  if (in.size() != sizeof value) return;
  std::memcpy(&value, in.data(), sizeof value);
  if (value > k_most) return;
  const std::lock_guard lock(config_mutex_);
  if (offset == SenseSize) sense_size_ = value;
  if (offset == CdbSize && value > 0) cdb_size_ = value;
}

void Scsi::reset() {
  worker_.reset();
  const std::lock_guard lock(config_mutex_);
  sense_size_ = k_usual_sense;
  cdb_size_ = k_usual_cdb;
}

void Scsi::serve_queue(u16 index) {
  const auto active = [this] { return worker_.active(); };
  if (index == k_control) serve(index, chain_, active, [this](Chain& c) { return answer_control(c); });
  if (index == k_requests) serve(index, chain_, active, [this](Chain& c) { return answer_request(c); });
  // Buffers for events stay where they are: there are none.
}

// --- control

/// Tasks are done before anything is done to them, so what is left to say is that it is so.
std::optional<u32> Scsi::answer_control(Chain& chain) {
  u32 words[2] = {};
  u8 lun[k_lun] = {};
  if (chain.read(0, {reinterpret_cast<u8*>(words), sizeof words}) < sizeof(u32) + k_lun - 4) return std::nullopt;
  const bool task = words[0] == TaskManagement;
  if (chain.read(task ? 8 : 4, lun) != k_lun) return std::nullopt;
  u8 answer[5] = {};  // of the queries: which events there are, none
  u8& response = answer[task ? 0 : 4];
  const auto address = address_of(lun);
  if (words[0] > NotificationSubscribe || (task && words[1] > k_last_function))
    response = FunctionRejected;
  else if (!address || !has_target(address->target))
    response = BadTarget;
  else if (!find(lun))
    response = IncorrectLun;
  const std::size_t size = task ? 1 : sizeof answer;
  if (chain.write(ram(), 0, std::span(answer).first(size)) != size) return std::nullopt;
  return static_cast<u32>(size);
}

// --- commands

std::optional<u32> Scsi::answer_request(Chain& chain) {
  std::size_t sense_size = 0, cdb_size = 0;
  {
    const std::lock_guard lock(config_mutex_);
    sense_size = sense_size_;
    cdb_size = cdb_size_;
  }
  std::array<u8, k_header> header;
  std::array<u8, k_most> cdb{};
  const std::size_t readable = k_header + cdb_size, writable = k_response + sense_size;
  if (chain.read(0, header) != k_header || chain.read(k_header, std::span(cdb).first(cdb_size)) != cdb_size ||
      chain.writable_bytes < writable)
    return std::nullopt;
  behind(out_, chain.readable, readable);
  behind(in_, chain.writable, writable);
  scsi::Command command{.out = out_, .in = in_};
  std::copy_n(cdb.begin(), std::min(cdb_size, command.cdb.size()), command.cdb.begin());

  Response response{};
  scsi::Reply reply;
  const auto address = address_of(header.data());
  if (!address || !has_target(address->target)) {
    response.response = BadTarget;
  } else {
    steps_.begin(measure::Step::Host);
    reply = execute(header.data(), command);
    steps_.end(measure::Step::Host);
  }
  const bool reads = !in_.empty();
  const u64 bytes = reads ? scsi::total(in_) : scsi::total(out_);
  response.residual = static_cast<u32>(std::min<u64>(bytes - std::min(bytes, reply.moved), 0xffff'ffff));
  response.status = static_cast<u8>(reply.status);
  if (reply.status != scsi::Status::Good) {
    counters_.errors.add();
    const auto sense = scsi::sense_data(reply.sense);
    response.sense_length = static_cast<u32>(std::min(sense.size(), sense_size));
    chain.write(ram(), k_response, std::span(sense).first(response.sense_length));
  }
  chain.write(ram(), 0, {reinterpret_cast<const u8*>(&response), sizeof response});
  const u64 moved_in = reads ? reply.moved : 0;
  chain.mark_written(ram(), writable + moved_in);
  (reads ? counters_.bytes_to_guest : counters_.bytes_from_guest).add(reply.moved);
  return static_cast<u32>(writable + moved_in);
}

scsi::Reply Scsi::execute(const u8* lun, const scsi::Command& command) {
  if (command.cdb[0] == scsi::REPORT_LUNS) return report_luns(lun[1], command);
  scsi::Unit* const unit = find(lun);
  return unit ? unit->execute(command) : scsi::Unit::execute_absent(command);
}

scsi::Unit* Scsi::find(const u8* lun) const {
  const auto address = address_of(lun);
  const auto found = std::ranges::find_if(units_, [&](const Place& p) { return p.address == address; });
  return found == units_.end() ? nullptr : found->unit.get();
}

bool Scsi::has_target(u8 target) const {
  return std::ranges::any_of(units_, [target](const Place& p) { return p.address.target == target; });
}

/// SPC-4 6.33: LUN 0 is there even if nothing is at it.
scsi::Reply Scsi::report_luns(u8 target, const scsi::Command& command) const {
  std::vector<u16> luns = {0};
  for (const Place& p : units_)
    if (p.address.target == target && p.address.lun != 0) luns.push_back(p.address.lun);
  std::ranges::sort(luns);
  if (command.cdb[2] > 2) return {scsi::Status::CheckCondition, scsi::k_invalid_field, 0};
  if (command.cdb[2] == 1) luns.clear();  // well-known ones: there are none
  std::vector<u8> data(8 + 8 * luns.size());
  scsi::put32(data.data(), static_cast<u32>(8 * luns.size()));
  for (std::size_t n = 0; n < luns.size(); ++n)
    scsi::put16(&data[8 + 8 * n], luns[n] < 256 ? luns[n] : 0x4000u | luns[n]);
  const u32 allocation = scsi::get32(&command.cdb[6]);
  return {scsi::Status::Good, scsi::k_no_sense,
          scsi::scatter(command.in, std::span(data).first(std::min<std::size_t>(data.size(), allocation)))};
}

}  // namespace armvisor::devices::virtio
