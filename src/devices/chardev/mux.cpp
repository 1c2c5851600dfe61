#include "devices/chardev/mux.h"

#include <algorithm>
#include <utility>

namespace armvisor::devices {
namespace {
/// What waits for a user: of a terminal, so that the escape is seen while the user takes nothing; of others, little.
constexpr std::size_t k_typed_ahead = 64 * 1024, k_held = 32;
}  // namespace

/// What one of the users sees.
class Mux::Port final : public Chardev {
 public:
  Port(Mux& mux, bool focused) : mux_(mux), focused_(focused) {}

  void room() override { mux_.below_->room(); }
  void look_at_size() override {}
  std::optional<TerminalSize> size() const override { return mux_.below_->size(); }
  bool is_terminal() const override { return mux_.below_->is_terminal(); }
  bool connected() const override { return mux_.below_->connected(); }
  std::string filename() const override { return "mux"; }

  bool hurried() const override { return mux_.below_->hurried(); }

  bool has_focus() const override { return focused_; }
  void set_focus(bool has) {
    if (std::exchange(focused_, has) != has) tell_focus(has);
  }
  using Chardev::hand_over;
  using Chardev::tell_break;
  using Chardev::tell_opened;
  using Chardev::tell_writable;
  void tell_size() { Chardev::look_at_size(); }

  std::vector<u8> waiting;  ///< input that the user had no room for; of the thread below

 private:
  bool do_offer(std::span<const u8> bytes) override { return mux_.below_->offer(bytes); }
  void do_write(std::span<const u8> bytes) override { mux_.below_->write(bytes); }
  void do_give_up() override { mux_.below_->give_up(); }
  void do_drain() override { mux_.below_->drain(); }

  Mux& mux_;
  bool focused_;
};

Mux::Mux(std::unique_ptr<Chardev> below, const ConsoleKeys& keys, std::function<void()> quit, std::string farewell)
    : below_(std::move(below)),
      keys_(keys),
      escapes_(keys.when == ConsoleKeys::When::Always ||
               (keys.when == ConsoleKeys::When::Terminal && below_->is_terminal())),
      quit_(std::move(quit)),
      farewell_(std::move(farewell)) {
  const auto all = [this](auto tell) {
    return [this, tell](auto... arguments) {
      for (const auto& port : ports_) tell(*port, arguments...);
    };
  };
  below_->attach({.input = [this](std::span<const u8> bytes) { return input(bytes); },
                  .send_break = [this] { ports_[focus_]->tell_break(); },
                  .opened = all([](Port& port, bool open) { port.tell_opened(open); }),
                  .writable = all([](Port& port) { port.tell_writable(); }),
                  .resized = all([](Port& port, TerminalSize) { port.tell_size(); }),
                  .focused = {}});
}

Mux::~Mux() {
  below_->stop();
  below_->detach();
}

Chardev* Mux::add_user() {
  if (ports_.size() == k_max_users) return nullptr;
  if (!ports_.empty()) ports_[focus_]->set_focus(false);
  ports_.push_back(std::make_unique<Port>(*this, true));
  focus_ = ports_.size() - 1;
  return ports_.back().get();
}

/// True when nothing waits any more.
bool Mux::deliver() {
  Port& port = *ports_[focus_];
  port.hand_over(port.waiting);
  return port.waiting.empty();
}

std::size_t Mux::input(std::span<const u8> bytes) {
  if (ports_.empty()) return bytes.size();
  const std::size_t most = below_->is_terminal() ? k_typed_ahead : k_held;
  std::size_t at = 0;
  while (at < bytes.size()) {
    // Of a pipe or socket no more is taken than there is room for; what is typed is looked at for keys in any case.
    std::vector<u8>& waiting = ports_[focus_]->waiting;
    if (waiting.size() >= most && !deliver() && waiting.size() >= most && !below_->is_terminal()) return at;
    const u8 c = bytes[at++];
    if (escapes_ && !escaped_ && c == keys_.escape) {
      escaped_ = true;
    } else if (escapes_ && std::exchange(escaped_, false) && c != keys_.escape) {
      deliver();  // what was typed before the key
      act(c);
    } else if (waiting.size() < most) {
      waiting.push_back(c);
    }
  }
  deliver();
  return at;
}

/// A key behind the escape.
void Mux::act(u8 key) {
  if (key == 'x') {
    if (!farewell_.empty()) say(farewell_);
    if (quit_) quit_();
  } else if (key == 'b') {
    ports_[focus_]->tell_break();
  } else if (key == 'c') {
    focus_next();
  } else if (key == 'h' || key == '?') {
    tell_keys();
  }
}

void Mux::focus_next() {
  if (ports_.size() < 2) return say("\r\nthere is no monitor behind this console\r\n");
  ports_[focus_]->set_focus(false);
  focus_ = (focus_ + 1) % ports_.size();
  ports_[focus_]->set_focus(true);
}

void Mux::tell_keys() {
  // Ctrl-A is 1; what is no control character shows as itself.
  const std::string e = keys_.escape < 0x20 ? std::string("C-") + static_cast<char>(keys_.escape + 0x60)
                                            : std::string(1, static_cast<char>(keys_.escape));
  std::string text = "\n\r" + e + " h    print this help\n\r" + e + " x    exit emulator\n\r" + e +
                     " b    send break (magic sysrq)\n\r";
  if (ports_.size() > 1) text += e + " c    switch between console and monitor\n\r";
  say(text + e + " " + e + "  sends " + e + "\n\r");
}

void Mux::say(std::string_view text) {
  // Never waits: the thread that reads may be the only one that could make room.
  below_->offer({reinterpret_cast<const u8*>(text.data()), text.size()});
}

}  // namespace armvisor::devices
