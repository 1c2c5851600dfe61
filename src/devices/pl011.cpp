#include "devices/pl011.h"

#include <algorithm>
#include <chrono>

#include "base/bits.h"

namespace armvisor::devices {
namespace {

constexpr u32 UARTDR = 0x00, UARTRSR = 0x04, UARTFR = 0x18, UARTILPR = 0x20, UARTIBRD = 0x24, UARTFBRD = 0x28,
              UARTLCR_H = 0x2c, UARTCR = 0x30, UARTIFLS = 0x34, UARTIMSC = 0x38, UARTRIS = 0x3c, UARTMIS = 0x40,
              UARTICR = 0x44, UARTDMACR = 0x48;
constexpr u8 k_ids[8] = {0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};

constexpr u32 k_fr_cts = 1u << 0, k_fr_dsr = 1u << 1, k_fr_dcd = 1u << 2, k_fr_busy = 1u << 3, k_fr_rxfe = 1u << 4,
              k_fr_txff = 1u << 5, k_fr_rxff = 1u << 6, k_fr_txfe = 1u << 7, k_fr_ri = 1u << 8;
constexpr u32 k_lcr_fen = 1u << 4;
constexpr u32 k_cr_uarten = 1u << 0, k_cr_lbe = 1u << 7, k_cr_rxe = 1u << 9, k_cr_dtr = 1u << 10, k_cr_rts = 1u << 11,
              k_cr_out1 = 1u << 12, k_cr_out2 = 1u << 13;
constexpr u32 k_int_rx = 1u << 4, k_int_tx = 1u << 5, k_int_rt = 1u << 6, k_int_be = 1u << 9, k_int_all = 0x7ff;
constexpr u16 k_break_error = 1u << 10;  // UARTDR.BE

}  // namespace

Pl011::Pl011(IrqLine& irq, Chardev* line) : irq_(irq), line_(line) {
  reset();
  if (!line_) return;
  line_->attach({.input = [this](std::span<const u8> bytes) { return push(bytes); },
                 .send_break = [this] { receive_break(); },
                 .opened = {},
                 .writable = [this] { transmit_held(); },
                 .resized = {},
                 .focused = {}});
}

Pl011::~Pl011() {
  if (line_) line_->detach();
}

void Pl011::reset() {
  const std::lock_guard lock(mutex_);
  fifo_.clear();
  held_.clear();
  rsr_ = ilpr_ = ibrd_ = fbrd_ = lcr_ = imsc_ = ris_ = dmacr_ = 0;
  cr_ = 0x300;
  ifls_ = 0x12;
  update_irq();
}

void Pl011::describe(TreeWriter& tree, const Site& site) {
  constexpr u32 k_clock = static_cast<u32>(Phandle::Clock);
  tree.begin(node(site));
  tree.texts("compatible", {"arm,pl011", "arm,primecell"});
  tree.reg(site);
  tree.interrupt(site);
  tree.cells("clocks", {k_clock, k_clock});
  tree.texts("clock-names", {"uartclk", "apb_pclk"});
  tree.end();
}

std::size_t Pl011::push(std::span<const u8> bytes) {
  const std::lock_guard lock(mutex_);
  const std::size_t taken = std::min(bytes.size(), k_backlog - backlog_.size());
  backlog_.insert(backlog_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
  refused_ = taken < bytes.size();
  refill();
  update_irq();
  return taken;
}

std::size_t Pl011::depth() const { return lcr_ & k_lcr_fen ? k_fifo_depth : 1; }

/// Fill level that raises the receive interrupt: UARTIFLS[5:3] with FIFOs, else one character (3.3.11).
std::size_t Pl011::receive_trigger() const {
  constexpr std::size_t levels[8] = {2, 4, 8, 12, 14, 14, 14, 14};
  return lcr_ & k_lcr_fen ? levels[(ifls_ >> 3) & 7] : 1;
}

/// Fill level at and below which the transmit interrupt is raised: UARTIFLS[2:0] with FIFOs, else empty (3.3.11).
std::size_t Pl011::transmit_trigger() const {
  constexpr std::size_t levels[8] = {2, 4, 8, 12, 14, 14, 14, 14};
  return lcr_ & k_lcr_fen ? levels[ifls_ & 7] : 0;
}

/// Modem inputs: idle, or the modem outputs in loopback (3.3.8, LBE).
u32 Pl011::raw_modem_inputs() const {
  if (!(cr_ & k_cr_lbe)) return 0;
  return (cr_ & k_cr_rts ? k_fr_cts : 0) | (cr_ & k_cr_dtr ? k_fr_dsr : 0) | (cr_ & k_cr_out1 ? k_fr_dcd : 0) |
         (cr_ & k_cr_out2 ? k_fr_ri : 0);
}

u32 Pl011::flags() const {
  u32 fr = (held_.empty() ? k_fr_txfe : k_fr_busy) | raw_modem_inputs();
  if (held_.size() >= depth()) fr |= k_fr_txff;
  if (fifo_.empty()) fr |= k_fr_rxfe;
  if (fifo_.size() >= depth()) fr |= k_fr_rxff;
  return fr;
}

/// A character enters the receive FIFO. The receive timeout is taken to have passed at once.
/// A character with its error bits.
void Pl011::arrive(u16 word) {
  fifo_.push_back(word);
  ris_ |= k_int_rt;
  if (fifo_.size() >= receive_trigger()) ris_ |= k_int_rx;
}

void Pl011::receive_break() {
  const std::lock_guard lock(mutex_);
  if ((cr_ & (k_cr_uarten | k_cr_rxe)) != (k_cr_uarten | k_cr_rxe) || fifo_.size() >= depth()) return;
  arrive(k_break_error);  // DDI 0183 section 3.3.1: with the data 0
  ris_ |= k_int_be;
  update_irq();
}

/// Moves what the host sent into the FIFO, as far as it fits. A disabled receiver leaves it waiting, not lost.
void Pl011::refill() {
  if ((cr_ & (k_cr_uarten | k_cr_rxe)) != (k_cr_uarten | k_cr_rxe)) return;
  while (!backlog_.empty() && fifo_.size() < depth()) {
    arrive(backlog_.front());
    backlog_.pop_front();
  }
}

u32 Pl011::read_data() {
  if (fifo_.empty()) return 0;
  const u16 c = fifo_.front();
  fifo_.pop_front();
  rsr_ = c >> 8;
  if (fifo_.size() < receive_trigger()) ris_ &= ~k_int_rx;
  if (fifo_.empty()) ris_ &= ~k_int_rt;
  refill();
  return c;
}

void Pl011::update_irq() { irq_.set((ris_ & imsc_) != 0); }

u32 Pl011::read_register(u32 offset) {
  switch (offset) {
    case UARTDR: return read_data();
    case UARTRSR: return rsr_;
    case UARTFR: return flags();
    case UARTILPR: return ilpr_;
    case UARTIBRD: return ibrd_;
    case UARTFBRD: return fbrd_;
    case UARTLCR_H: return lcr_;
    case UARTCR: return cr_;
    case UARTIFLS: return ifls_;
    case UARTIMSC: return imsc_;
    case UARTRIS: return ris_;
    case UARTMIS: return ris_ & imsc_;
    case UARTDMACR: return dmacr_;
    default: return primecell_id(k_ids, offset);
  }
}

void Pl011::write_register(u32 offset, u32 value) {
  switch (offset) {
    case UARTRSR: rsr_ = 0; break;
    case UARTILPR: ilpr_ = value & 0xff; break;
    case UARTIBRD: ibrd_ = value & 0xffff; break;
    case UARTFBRD: fbrd_ = value & 0x3f; break;
    case UARTLCR_H: lcr_ = value & 0xff; break;
    case UARTCR: cr_ = value & 0xff87; break;
    case UARTIFLS: ifls_ = value & 0x3f; break;
    case UARTIMSC: imsc_ = value & k_int_all; break;
    case UARTICR: ris_ &= ~value; break;
    case UARTDMACR: dmacr_ = value & 7; break;
    default: break;
  }
  refill();
}

u64 Pl011::mmio_read(u64 offset, u32 size) {
  if (size > 4 || offset % 4 != 0) return 0;
  bool space = false;
  u32 value = 0;
  {
    const std::lock_guard lock(mutex_);
    value = read_register(static_cast<u32>(offset));
    update_irq();
    space = refused_ && backlog_.size() <= k_backlog / 2;
    if (space) refused_ = false;
  }
  if (space) line_->room();
  return value & low_mask(8 * size);
}

void Pl011::mmio_write(u64 offset, u32 size, u64 value) {
  if (size > 4 || offset % 4 != 0) return;
  const u8 byte = static_cast<u8>(value);
  std::unique_lock lock(mutex_);
  if (offset != UARTDR) {
    write_register(static_cast<u32>(offset), static_cast<u32>(value));
  } else if (cr_ & k_cr_lbe) {
    ris_ |= k_int_tx;
    if (fifo_.size() < depth()) arrive(byte);
  } else if (!transmit(byte)) {
    if (held_.size() < k_most_held) held_.push_back(byte);
    wait_for_room(lock);
  }
  update_irq();
}

/// The guest did not look whether there was room (UARTFR.TXFF). Nothing of what it says is lost: it waits, but not when
/// its vCPU is to stop.
void Pl011::wait_for_room(std::unique_lock<std::mutex>& lock) {
  constexpr std::chrono::milliseconds k_look_again{10};
  while (held_.size() > depth() && !line_->hurried()) sent_.wait_for(lock, k_look_again);
}

/// Sends a character, or holds it back in the FIFO. False: that is full.
bool Pl011::transmit(u8 byte) {
  if (held_.empty() && (!line_ || line_->offer({&byte, 1}))) {
    ris_ |= k_int_tx;  // sent at once, so the FIFO is below its trigger again
    return true;
  }
  if (held_.size() >= depth()) return false;
  held_.push_back(byte);
  if (held_.size() > transmit_trigger()) ris_ &= ~k_int_tx;
  return true;
}

/// The line takes something again.
void Pl011::transmit_held() {
  const std::lock_guard lock(mutex_);
  const std::span<const u8> all(held_);
  std::size_t sent = 0;
  for (std::size_t n = 0; sent < all.size(); sent += n) {
    n = std::min(all.size() - sent, std::size_t{4096});
    if (!line_->offer(all.subspan(sent, n))) break;
  }
  if (sent == 0) return;
  held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(sent));
  if (held_.size() <= transmit_trigger()) ris_ |= k_int_tx;
  update_irq();
  sent_.notify_all();
}

void Pl011::finish(bool wait) {
  if (!line_) return;
  transmit_held();
  std::vector<u8> rest;
  {
    const std::lock_guard lock(mutex_);
    rest.swap(held_);
  }
  if (wait && !rest.empty()) line_->write(rest);
}

}  // namespace armvisor::devices
