// Prints what a guest finds in fw_cfg, item by item, and how its registers and DMA answer. What it prints on QEMU is what
// it has to print here.
#include "../lib/guest.h"

#define DATA 0x09020000u
#define SELECTOR 0x09020008u
#define DMA 0x09020010u
#define REG8(a) (*(volatile u8*)(a))
#define REG16(a) (*(volatile u16*)(a))
#define REG32(a) (*(volatile u32*)(a))
enum { ERROR = 1, READ = 2, SKIP = 4, SELECT = 8, WRITE = 16 };
enum { FILE_DIR = 0x19, INVALID = 0x3fff };

static struct {
  u32 control, length, address_high, address_low;
} request __attribute__((aligned(16)));
static u8 buffer[4096] __attribute__((aligned(4096)));

static u32 swap(u32 v) { return __builtin_bswap32(v); }
static void select(u32 key) { REG16(SELECTOR) = (u16)(key << 8 | key >> 8); }
/// LDRD and STRD: one access of 64 bits, or two of 32.
static u64 load64(u32 address) {
  register u32 low asm("r2"), high asm("r3");
  asm volatile("ldrd r2, r3, [%2]" : "=r"(low), "=r"(high) : "r"(address) : "memory");
  return (u64)high << 32 | low;
}
static void store64(u32 address, u64 value) {
  register u32 low asm("r2") = (u32)value;
  register u32 high asm("r3") = (u32)(value >> 32);
  asm volatile("strd r2, r3, [%2]" ::"r"(low), "r"(high), "r"(address) : "memory");
}

static void print_char(u8 c) {
  const char text[2] = {(char)c, 0};
  print(text);
}
static void print_byte(u8 v) {
  print_char((u8) "0123456789abcdef"[v >> 4]);
  print_char((u8) "0123456789abcdef"[v & 15]);
}
static void print_value(const char* what, u32 value) {
  print(what);
  print(" ");
  print_hex(value);
  print("\n");
}
static void print_bytes(const u8* bytes, u32 count) {
  for (u32 k = 0; k < count; ++k) print_byte(bytes[k]);
  print("\n");
}

static void fill_buffer(void) {
  for (u32 k = 0; k < sizeof buffer; ++k) buffer[k] = 0xaa;
}
/// Returns the control word that the device leaves.
static u32 transfer(u32 control, u32 length, u32 address) {
  request.control = swap(control);
  request.length = swap(length);
  request.address_high = 0;
  request.address_low = swap(address);
  dsb();
  REG32(DMA + 4) = swap((u32)&request);
  dsb();
  return swap(request.control);
}

static u32 crc(u32 sum, const u8* bytes, u32 count) {
  for (u32 k = 0; k < count; ++k) {
    sum ^= bytes[k];
    for (u32 bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
  }
  return sum;
}
/// The first bytes of an item, and the sum of `size` bytes.
static void print_item(u32 key, u32 size) {
  u32 sum = ~0u;
  for (u32 at = 0; at == 0 || at < size; at += sizeof buffer) {
    transfer(READ | (at ? 0 : SELECT | key << 16), sizeof buffer, (u32)buffer);
    sum = crc(sum, buffer, size - at < sizeof buffer ? size - at : sizeof buffer);
    if (at == 0) print_bytes(buffer, 32);
  }
  if (size) print_value("  sum", ~sum);
}
static u32 read_size(u32 key) {
  u32 size;
  transfer(READ | SELECT | key << 16, 4, (u32)&size);
  return *(volatile u32*)&size;
}

static void dump_items(void) {
  for (u32 key = 0; key < 0x19; ++key) {
    print("item ");
    print_byte((u8)key);
    print(" ");
    // Those with data of any size follow the size.
    print_item(key, key == 0x11 || key == 0x12 || key == 0x15 || key == 0x18 ? read_size(key == 0x11   ? 0x08
                                                                                          : key == 0x12 ? 0x0b
                                                                                          : key == 0x15 ? 0x14
                                                                                                        : 0x17)
                                                                              : 0);
  }
  for (u32 key = 0x8000; key < 0x8008; ++key) {
    print_value("item", key);
    print_item(key, 0);
  }
}

static void dump_files(void) {
  static u8 directory[64 * 64];
  transfer(READ | SELECT | FILE_DIR << 16, 4, (u32)directory);
  const u32 count = swap(*(volatile u32*)directory);
  print_value("files", count);
  transfer(READ, count * 64, (u32)directory);
  for (u32 k = 0; k < count; ++k) {
    const u8* const file = directory + k * 64;
    const u32 size = swap(*(volatile u32*)file);
    print("file ");
    print((const char*)file + 8);
    print_value(" size", size);
    print_value("  key", (u32)file[4] << 8 | file[5]);
    print_item((u32)file[4] << 8 | file[5], size);
  }
}

static void dump_registers(void) {
  select(FILE_DIR);
  select(0);
  print_value("byte", REG8(DATA));
  print_value("half", REG16(DATA));
  print_value("byte", REG8(DATA));
  print_value("past the end", REG32(DATA));
  select(0);
  print_value("word", REG32(DATA));
  select(INVALID);
  print_value("no such item", REG32(DATA));
  select(0x4000);
  print_value("the first for writing", REG32(DATA));
  select(0);
  REG32(DATA) = 0;
  print_value("after a write", REG32(DATA));
  print_value("dma high", REG32(DMA));
  print_value("dma low", REG32(DMA + 4));
  print_value("dma byte", REG8(DMA + 3));
  print_value("dma half", REG16(DMA + 6));
  const u64 both = load64(DMA);
  print_bytes((const u8*)&both, 8);
}

static void dump_transfers(void) {
  fill_buffer();
  print_value("read", transfer(READ | SELECT, 8, (u32)buffer + 1));
  print_bytes(buffer, 12);
  print_value("skip", transfer(SKIP | SELECT, 2, 0));
  print_value("data", REG16(DATA));
  print_value("skip past the end", transfer(SKIP, 100, 0));
  print_value("data", REG16(DATA));
  fill_buffer();
  print_value("nothing", transfer(SELECT, 100, (u32)buffer));
  print_value("data", REG16(DATA));
  print_value("read and write", transfer(READ | WRITE | SELECT, 2, (u32)buffer));
  print_bytes(buffer, 4);
  print_value("write", transfer(WRITE | SELECT, 2, (u32)buffer));
  print_value("data", REG16(DATA));
  print_value("skip and write", transfer(WRITE | SKIP | SELECT, 2, (u32)buffer));
  print_value("write past the end", transfer(WRITE | SELECT, 100, (u32)buffer));
  print_value("write nothing", transfer(WRITE | SELECT, 0, (u32)buffer));
  print_value("no such item, read", transfer(READ | SELECT | INVALID << 16, 2, (u32)buffer));
  print_bytes(buffer, 4);
  print_value("no such item, write", transfer(WRITE, 2, (u32)buffer));
  print_value("no such item, skip", transfer(SKIP, 2, (u32)buffer));
  print_value("error", transfer(ERROR, 0, 0));
  print_value("to no memory", transfer(READ | SELECT, 4, 0x0f000000));
  print_value("to no memory, zeros", transfer(READ | SELECT | INVALID << 16, 4, 0x0f000000));
  print_value("from no memory", transfer(WRITE | SELECT, 4, 0x0f000000));
}

/// Halves of the address: the higher counts once.
static void dump_addresses(void) {
  request.control = swap(READ | SELECT);
  request.length = swap(4);
  request.address_low = swap((u32)buffer);
  fill_buffer();
  REG32(DMA) = 0;
  REG32(DMA + 4) = swap((u32)&request);
  print_bytes(buffer, 8);
  fill_buffer();
  request.control = swap(READ | SELECT);
  REG32(DMA) = swap(0x100);
  print_value("before", swap(request.control));
  REG32(DMA + 4) = swap((u32)&request);
  print_value("too high", swap(request.control));
  REG32(DMA + 4) = swap((u32)&request);
  print_value("again", swap(request.control));
  print_bytes(buffer, 8);
  fill_buffer();
  request.control = swap(READ | SELECT);
  store64(DMA, (u64)swap((u32)&request) << 32);
  print_value("whole", swap(request.control));
  print_bytes(buffer, 8);
}

void test_main(void) {
  dump_registers();
  dump_items();
  dump_files();
  dump_addresses();
  dump_transfers();
}
