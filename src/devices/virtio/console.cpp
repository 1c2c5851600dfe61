#include "devices/virtio/console.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace armvisor::devices::virtio {
namespace {
constexpr u16 k_queue_size = 128;
constexpr u64 k_size = 1u << 0, k_has_ports = 1u << 1, k_emergency_write = 1u << 2;
constexpr u32 k_emergency_offset = 8;
// Queues: two of port 0, two for control messages, two of each other port (5.3.2).
constexpr u16 k_control_receive = 2, k_control_transmit = 3;
constexpr u16 receive_queue(u32 port) { return static_cast<u16>(port == 0 ? 0 : 2 + 2 * port); }
constexpr u16 transmit_queue(u32 port) { return static_cast<u16>(receive_queue(port) + 1); }
constexpr u32 port_of(u16 queue) { return queue < 2 ? 0 : queue / 2u - 1; }

// 5.3.6.2: struct virtio_console_control { le32 id; le16 event; le16 value; }
constexpr std::size_t k_message_size = 8;
enum Event : u16 { DeviceReady = 0, DeviceAdd = 1, PortReady = 3, ConsolePortEvent = 4, PortOpen = 6, PortName = 7 };
}  // namespace

/// One port. Its mutex guards its state and its two queues.
class Console::Port {
 public:
  Port(Console& console, ConsolePort options) : console_(console), options_(std::move(options)) {}
  /// A machine that is made anew has other ports: whoever is at the line is to know that this one is closed.
  ~Port() {
    reset();
    if (options_.line) options_.line->detach();
  }
  void attach();

  const ConsolePort& options() const { return options_; }
  bool peer_is_there() const { return options_.console || (options_.line && options_.line->connected()); }
  void activate(bool controlled);
  void reset();
  void set_ready();
  void set_open(bool open);
  void receive();
  void transmit();

 private:
  std::size_t input(std::span<const u8> bytes);
  void peer_changed(bool there);
  bool deliver();
  bool send();

  Console& console_;
  const ConsolePort options_;
  std::mutex mutex_;  // guards what follows
  bool active_ = false;
  bool open_ = false;   ///< the guest takes input
  bool ready_ = false;  ///< the driver knows the port
  std::vector<u8> pending_;
  bool starved_ = false;  ///< input() took less than it was given
  Chain receive_chain_, transmit_chain_;
  bool sending_ = false;  ///< transmit_chain_ is not sent whole
  u64 sent_ = 0;          ///< bytes of it that are
};

void Console::Port::attach() {
  if (!options_.line) return;
  options_.line->attach({.input = [this](std::span<const u8> bytes) { return input(bytes); },
                         .send_break = {},
                         .opened = [this](bool there) { peer_changed(there); },
                         .writable = [this] { transmit(); },
                         .resized = [this](TerminalSize size) { console_.resize(size); },
                         .focused = {}});
}

void Console::Port::activate(bool controlled) {
  {
    const std::lock_guard lock(mutex_);
    active_ = true;
    open_ = !controlled;
  }
  receive();
  transmit();
}

void Console::Port::reset() {
  bool was_open = false;
  {
    const std::lock_guard lock(mutex_);
    was_open = open_;
    active_ = open_ = ready_ = sending_ = false;
  }
  if (was_open && options_.line && options_.line->user_opened(false)) {
    const std::lock_guard lock(mutex_);
    pending_.clear();
  }
}

void Console::Port::set_ready() {
  const std::lock_guard lock(mutex_);
  ready_ = true;
}

void Console::Port::set_open(bool open) {
  {
    const std::lock_guard lock(mutex_);
    open_ = open;
  }
  if (options_.line && options_.line->user_opened(open)) {
    const std::lock_guard lock(mutex_);
    pending_.clear();
  }
  if (!open) transmit();  // what the line held back is of this opening, not of the next
  receive();
}

void Console::Port::peer_changed(bool there) {
  if (options_.console) return;
  {
    const std::lock_guard lock(mutex_);
    if (!ready_) return;
  }
  console_.tell(options_.number, Event::PortOpen, there);
}

std::size_t Console::Port::input(std::span<const u8> bytes) {
  const std::lock_guard lock(mutex_);
  std::size_t taken = 0;
  do {
    const auto fits = bytes.subspan(taken, std::min(bytes.size() - taken, k_input_capacity - pending_.size()));
    pending_.insert(pending_.end(), fits.begin(), fits.end());
    taken += fits.size();
  } while (active_ && deliver() && taken < bytes.size());
  starved_ = taken < bytes.size();  // the guest has no buffer for what is pending, and gives one some time
  return taken;
}

/// The guest may have given buffers.
void Console::Port::receive() {
  bool room = false;
  {
    const std::lock_guard lock(mutex_);
    room = active_ && deliver() && std::exchange(starved_, false);
  }
  if (room && options_.line) options_.line->room();
}

/// True when input that found no room may be tried again.
bool Console::Port::deliver() {
  if (!open_) return false;
  std::size_t sent = 0;
  console_.serve(
      receive_queue(options_.number), receive_chain_, [&] { return sent < pending_.size(); },
      [&](const Chain& chain) -> std::optional<u32> {
        if (chain.writable_bytes == 0) return {};
        const std::size_t n = chain.write(console_.ram(), 0, std::span(pending_).subspan(sent));
        sent += n;
        return static_cast<u32>(n);
      });
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(sent));
  console_.counters_.bytes_to_guest.add(sent);
  return sent > 0;
}

void Console::Port::transmit() {
  const std::lock_guard lock(mutex_);
  if (!active_) return;
  const u16 index = transmit_queue(options_.number);
  do {
    while (sending_ || console_.next(index, transmit_chain_)) {
      if (!std::exchange(sending_, true)) sent_ = 0;
      if (!send()) return console_.interrupt(index);
      sending_ = false;
      console_.counters_.bytes_from_guest.add(transmit_chain_.readable_bytes);
      console_.complete(index, transmit_chain_, 0);
    }
  } while (console_.queue(index).enable_notifications());
  console_.interrupt(index);
}

/// Sends what the line takes of a chain; false: there is a rest.
bool Console::Port::send() {
  // A copy of each piece: the line must not see bytes change under it.
  std::array<u8, 4096> bytes;
  while (sent_ < transmit_chain_.readable_bytes) {
    const std::size_t n = transmit_chain_.read(sent_, bytes);
    if (n == 0) break;
    if (options_.line && !options_.line->offer(std::span(bytes).first(n))) return false;
    sent_ += n;
  }
  return true;
}

// --- the device

Console::Console(Chardev* line) : Console({ConsolePort{.line = line}}, false) {}
Console::Console(std::vector<ConsolePort> ports) : Console(std::move(ports), true) {}

Console::Console(std::vector<ConsolePort> ports, bool multiport) : multiport_(multiport) {
  queue_sizes_.assign(multiport ? 2 * (k_max_ports + 1) : 2, k_queue_size);
  for (ConsolePort& one : ports) ports_.push_back(std::make_unique<Port>(*this, std::move(one)));
  for (const auto& one : ports_) one->attach();
}

Console::~Console() = default;

u64 Console::features() const { return k_emergency_write | (multiport_ ? k_has_ports : k_size); }

Console::Port* Console::port(u32 number) {
  const auto at = std::ranges::find_if(ports_, [&](const auto& p) { return p->options().number == number; });
  return at == ports_.end() ? nullptr : at->get();
}

void Console::read_config(u32 offset, std::span<u8> out) {
  // struct virtio_console_config, 5.3.4: cols, rows, max_nr_ports, emerg_wr
  std::array<u8, 12> config{};
  if (!multiport_) {
    const std::lock_guard lock(mutex_);
    std::memcpy(config.data(), &size_.columns, 2);
    std::memcpy(config.data() + 2, &size_.rows, 2);
  }
  config[4] = multiport_ ? k_max_ports : 1;
  copy_config(config, offset, out);
}

void Console::write_config(u32 offset, std::span<const u8> in) {
  // 5.3.4: a character written early, at any time, even before the features are negotiated. It is lost if nobody reads.
  if (offset != k_emergency_offset || in.empty()) return;
  if (Port* const first = port(0); first && first->options().line) first->options().line->offer(in.first(1));
}

void Console::activate(u64 negotiated) {
  const bool controlled = multiport_ && (negotiated & k_has_ports);
  {
    const std::lock_guard lock(mutex_);
    active_ = true;
    controlled_ = controlled;
  }
  for (const auto& one : ports_)
    if (controlled || one->options().number == 0) one->activate(controlled);
  if (controlled) notify(k_control_transmit);
}

void Console::reset() {
  {
    const std::lock_guard lock(mutex_);
    active_ = controlled_ = false;
    messages_.clear();
  }
  for (const auto& one : ports_) one->reset();
}

void Console::resize(TerminalSize size) {
  bool changed = false;
  {
    const std::lock_guard lock(mutex_);
    changed = active_ && !multiport_ && (size.columns != size_.columns || size.rows != size_.rows);
    size_ = size;
  }
  if (changed) host().config_changed();
}

void Console::notify(u16 index) {
  if (multiport_ && index == k_control_receive) {
    const std::lock_guard lock(mutex_);
    if (controlled_) send_control();
  } else if (multiport_ && index == k_control_transmit) {
    receive_control();
  } else if (Port* const one = port(port_of(index))) {
    if (index % 2)
      one->transmit();
    else
      one->receive();
  }
}

// --- control messages

void Console::receive_control() {
  serve(
      k_control_transmit, control_in_, [] { return true; },
      [this](const Chain& chain) -> std::optional<u32> {
        std::array<u8, k_message_size> bytes{};
        if (chain.read(0, bytes) == bytes.size()) {
          u32 id = 0;
          u16 event = 0, value = 0;
          std::memcpy(&id, bytes.data(), 4);
          std::memcpy(&event, bytes.data() + 4, 2);
          std::memcpy(&value, bytes.data() + 6, 2);
          handle(id, event, value);
        }
        return 0;
      });
}

void Console::handle(u32 id, u16 event, u16 value) {
  if (event == Event::DeviceReady) {
    if (value)
      for (const auto& one : ports_) tell(one->options().number, Event::DeviceAdd, 1);
    return;
  }
  Port* const one = port(id);
  if (!one) return;
  if (event == Event::PortOpen) return one->set_open(value != 0);
  if (event != Event::PortReady || !value) return;
  one->set_ready();
  const ConsolePort& options = one->options();
  if (options.console) tell(id, Event::ConsolePortEvent, 1);
  if (!options.name.empty()) tell(id, Event::PortName, 1, options.name);
  if (one->peer_is_there()) tell(id, Event::PortOpen, 1);
}

void Console::tell(u32 id, u16 event, u16 value, std::string_view more) {
  std::vector<u8> message(k_message_size);
  std::memcpy(message.data(), &id, 4);
  std::memcpy(message.data() + 4, &event, 2);
  std::memcpy(message.data() + 6, &value, 2);
  message.insert(message.end(), more.begin(), more.end());
  if (!more.empty()) message.push_back(0);  // as QEMU ends a name
  const std::lock_guard lock(mutex_);
  if (!controlled_) return;
  if (messages_.size() == k_max_messages) return counters_.dropped.add();
  messages_.push_back(std::move(message));
  send_control();
}

/// With mutex_.
void Console::send_control() {
  serve(
      k_control_receive, control_out_, [this] { return !messages_.empty(); },
      [this](const Chain& chain) -> std::optional<u32> {
        const std::size_t n = chain.write(ram(), 0, messages_.front());
        messages_.pop_front();
        return static_cast<u32>(n);
      });
}

}  // namespace armvisor::devices::virtio
