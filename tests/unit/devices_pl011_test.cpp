#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <random>
#include <string>
#include <thread>

#include "devices/pl011.h"
#include "unit/device_fakes.h"
#include "unit/fake_chardev.h"

namespace armvisor::devices {
namespace {

constexpr u32 DR = 0, RSR = 4, FR = 0x18, IBRD = 0x24, LCR_H = 0x2c, CR = 0x30, IFLS = 0x34, IMSC = 0x38, RIS = 0x3c,
              MIS = 0x40, ICR = 0x44;
constexpr u32 k_fr_busy = 1u << 3, k_fr_txff = 1u << 5, k_fr_txfe = 1u << 7;
constexpr u32 k_rx = 1u << 4, k_tx = 1u << 5, k_rt = 1u << 6;

class Pl011Test : public testing::Test {
 protected:
  FakeLine irq;
  FakeChardev line;
  std::string& sent = line.output;
  Pl011 uart{irq, &line};

  u32 read(u32 offset) { return static_cast<u32>(uart.mmio_read(offset, 4)); }
  void write(u32 offset, u32 value) { uart.mmio_write(offset, 4, value); }
  std::size_t push(std::string_view text) { return line.type(text); }
  void enable(bool fifo = true) {
    write(LCR_H, fifo ? 0x70 : 0x60);
    write(CR, 0x301);
  }
};

TEST_F(Pl011Test, ResetStateAndIdentification) {
  EXPECT_EQ(read(FR), 0x90u);
  EXPECT_EQ(read(CR), 0x300u);
  EXPECT_EQ(read(IFLS), 0x12u);
  const u32 ids[] = {0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
  for (u32 i = 0; i < 8; ++i) EXPECT_EQ(read(0xfe0 + 4 * i), ids[i]);
}

TEST_F(Pl011Test, SendsAndRaisesTheTransmitInterrupt) {
  write(DR, 'h');
  uart.mmio_write(DR, 1, 'i');
  EXPECT_EQ(sent, "hi");
  EXPECT_EQ(read(RIS), k_tx);
  EXPECT_FALSE(irq.level);
  write(IMSC, k_tx);
  EXPECT_TRUE(irq.level);
  EXPECT_EQ(read(MIS), k_tx);
  write(ICR, k_tx);
  EXPECT_FALSE(irq.level);
}

TEST_F(Pl011Test, ReceivesThroughTheFifoInOrder) {
  enable();
  write(IMSC, k_rx | k_rt);
  EXPECT_EQ(push("abc"), 3u);
  EXPECT_TRUE(irq.level);
  EXPECT_EQ(read(RIS), k_rt) << "below the trigger level: receive timeout";
  EXPECT_EQ(read(FR) & 0x10, 0u);
  EXPECT_EQ(read(DR), u32{'a'});
  EXPECT_EQ(read(DR), u32{'b'});
  EXPECT_TRUE(irq.level);
  EXPECT_EQ(read(DR), u32{'c'});
  EXPECT_FALSE(irq.level);
  EXPECT_EQ(read(FR) & 0x10, 0x10u);
  EXPECT_EQ(read(DR), 0u);
}

TEST_F(Pl011Test, ABreakIsACharacterWithItsErrorBit) {
  line.tell_break();
  EXPECT_NE(uart.mmio_read(0x18, 4) & 0x10, 0u) << "lost while the receiver is disabled";
  uart.mmio_write(0x2c, 4, 0x70);
  uart.mmio_write(0x30, 4, 0x301);
  line.tell_break();
  push("h");
  EXPECT_NE(uart.mmio_read(0x3c, 4) & 0x200, 0u) << "UARTRIS.BERIS";
  EXPECT_EQ(uart.mmio_read(0, 4), 0x400u) << "UARTDR.BE and no data";
  EXPECT_EQ(uart.mmio_read(0, 4), u64{'h'});
}

TEST_F(Pl011Test, ReceiveInterruptAtTheTriggerLevel) {
  enable();
  write(IFLS, 2 << 3);  // half full
  push("1234567");
  EXPECT_EQ(read(RIS) & k_rx, 0u);
  push("8");
  EXPECT_EQ(read(RIS) & k_rx, k_rx);
  read(DR);
  EXPECT_EQ(read(RIS) & k_rx, 0u);
}

TEST_F(Pl011Test, WithoutFifosEachCharacterInterrupts) {
  enable(false);
  push("ab");
  EXPECT_EQ(read(RIS) & k_rx, k_rx);
  EXPECT_EQ(read(FR) & 0x40, 0x40u) << "one character fills it";
  EXPECT_EQ(read(DR), u32{'a'});
  EXPECT_EQ(read(RIS) & k_rx, k_rx);
  EXPECT_EQ(read(DR), u32{'b'});
  EXPECT_EQ(read(RIS) & k_rx, 0u);
}

TEST_F(Pl011Test, InputWaitsUntilTheReceiverIsEnabled) {
  EXPECT_EQ(push("x"), 1u);
  EXPECT_EQ(read(FR) & 0x10, 0x10u);
  enable();
  EXPECT_EQ(read(DR), u32{'x'});
}

TEST_F(Pl011Test, BackPressure) {
  enable();
  const std::string text(10000, 'x');
  const std::size_t taken = push(text);
  EXPECT_LT(taken, text.size());
  EXPECT_EQ(push("y"), 1u) << "what moved to the FIFO left room";
  std::size_t got = 0;
  while (!(read(FR) & 0x10)) {
    read(DR);
    ++got;
  }
  EXPECT_EQ(got, taken + 1);
  EXPECT_EQ(push("abc"), 3u);
}

TEST_F(Pl011Test, SpaceIsToldOnceAfterARefusal) {
  enable();
  const int before = line.rooms;
  push(std::string(10000, 'x'));
  for (u32 i = 0; i < 6000; ++i) read(DR);
  EXPECT_EQ(line.rooms - before, 1);
}

TEST_F(Pl011Test, WhatTheLineDoesNotTakeIsHeldBackAndShows) {
  enable();
  write(IMSC, k_tx);
  write(IFLS, 0);  // the interrupt at 2 characters of 16
  line.full = true;
  for (char c = 'a'; c < 'a' + 16; ++c) {
    EXPECT_EQ(read(FR) & k_fr_txff, 0u);
    write(DR, static_cast<u32>(c));
  }
  EXPECT_EQ(read(FR) & (k_fr_txff | k_fr_txfe | k_fr_busy), k_fr_txff | k_fr_busy);
  EXPECT_FALSE(irq.level) << "above the trigger";
  EXPECT_EQ(sent, "");
  line.make_room();
  EXPECT_EQ(sent, "abcdefghijklmnop");
  EXPECT_EQ(read(FR) & (k_fr_txff | k_fr_txfe | k_fr_busy), k_fr_txfe);
  EXPECT_TRUE(irq.level) << "an interrupt tells that there is room";
}

TEST_F(Pl011Test, AGuestThatDoesNotLookWaitsAndLosesNothing) {
  enable();
  write(IMSC, k_tx);
  line.full = true;
  auto guest = std::async(std::launch::async, [this] {
    for (char c = 'a'; c < 'a' + 17; ++c) write(DR, static_cast<u32>(c));
  });
  EXPECT_EQ(guest.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout) << "at the seventeenth";
  line.make_room();
  guest.get();
  EXPECT_EQ(sent, "abcdefghijklmnopq");
  EXPECT_EQ(read(FR) & k_fr_txff, 0u);
  EXPECT_TRUE(irq.level) << "there is room again";
}

TEST_F(Pl011Test, AWaitEndsWhenTheVcpuIsToStopAndNothingIsLost) {
  enable();
  line.full = true;
  auto guest = std::async(std::launch::async, [this] {
    for (char c = 'a'; c < 'a' + 17; ++c) write(DR, static_cast<u32>(c));
  });
  EXPECT_EQ(guest.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  line.hurry(true);
  line.hurry(true);
  line.hurry(false);  // of two who are in a hurry one is not any more
  guest.get();
  write(DR, 'r');
  line.hurry(false);
  EXPECT_EQ(sent, "");
  EXPECT_TRUE(read(FR) & k_fr_txff);
  line.make_room();
  EXPECT_EQ(sent, "abcdefghijklmnopqr");
}

TEST_F(Pl011Test, WhatIsHeldBackGoesOutWhenTheMachineEnds) {
  enable();
  line.full = true;
  for (const char c : {'a', 'b'}) write(DR, static_cast<u32>(c));
  uart.finish(true);
  EXPECT_EQ(line.waited, "ab");
  for (const char c : {'c', 'd'}) write(DR, static_cast<u32>(c));
  uart.finish(false);
  EXPECT_EQ(sent, "ab") << "a reset waits for nobody";
  line.make_room();
  EXPECT_EQ(sent, "ab");
}

TEST_F(Pl011Test, NobodyAtTheOtherEnd) {
  Pl011 lonely(irq, nullptr);
  lonely.mmio_write(DR, 4, 'x');
  EXPECT_EQ(lonely.mmio_read(FR, 4), 0x90u);
}

TEST_F(Pl011Test, Loopback) {
  enable();
  write(CR, 0x381 | 1u << 11);
  write(DR, 'z');
  EXPECT_EQ(sent, "");
  EXPECT_EQ(read(DR), u32{'z'});
  EXPECT_EQ(read(FR) & 1, 1u) << "RTS drives CTS";
}

TEST_F(Pl011Test, RegistersKeepTheirBits) {
  write(IBRD, 0xffffffff);
  EXPECT_EQ(read(IBRD), 0xffffu);
  write(IMSC, 0xffffffff);
  EXPECT_EQ(read(IMSC), 0x7ffu);
  write(RSR, 0);
  EXPECT_EQ(read(RSR), 0u);
}

TEST_F(Pl011Test, AnyAccessIsHarmlessWhileInputArrives) {
  std::atomic<bool> done = false;
  std::thread host([&] {
    while (!done) push("input");
  });
  std::mt19937 random(1);
  for (u32 i = 0; i < 100000; ++i) {
    const u64 offset = random() % 0x1000;
    const u32 size = 1u << (random() % 4);
    if (random() & 1)
      uart.mmio_read(offset, size);
    else
      uart.mmio_write(offset, size, random());
  }
  done = true;
  host.join();
}

}  // namespace
}  // namespace armvisor::devices
