#include "devices/virtio/gpu.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace armvisor::devices::virtio {
namespace {

constexpr std::array<u16, 2> k_queue_sizes = {64, 16};
constexpr u16 k_cursor_queue = 1;
constexpr u32 k_header = 24, k_fence = 1, k_screens = 16;

enum Command : u32 {
  GetDisplayInfo = 0x100,
  ResourceCreate2d,
  ResourceUnref,
  SetScanout,
  ResourceFlush,
  TransferToHost2d,
  ResourceAttachBacking,
  ResourceDetachBacking,
};
enum Response : u32 {
  Ok = 0x1100,
  OkDisplayInfo = 0x1101,
  Unspecified = 0x1200,
  OutOfMemory = 0x1201,
  InvalidScanout = 0x1202,
  InvalidResource = 0x1203,
  InvalidParameter = 0x1205,
};

/// Where red, green and blue are in a pixel's 32 bits (section 5.7.6.8, names of bytes in the order of addresses).
struct Shifts {
  u32 format;
  u8 red, green, blue;
};
constexpr Shifts k_formats[] = {
    {1, 16, 8, 0},     // B8G8R8A8
    {2, 16, 8, 0},     // B8G8R8X8
    {3, 8, 16, 24},    // A8R8G8B8
    {4, 8, 16, 24},    // X8R8G8B8
    {67, 0, 8, 16},    // R8G8B8A8
    {68, 24, 16, 8},   // X8B8G8R8
    {121, 24, 16, 8},  // A8B8G8R8
    {134, 0, 8, 16},   // R8G8B8X8
};
const Shifts* shifts_of(u32 format) {
  const auto row = std::ranges::find(k_formats, format, &Shifts::format);
  return row == std::end(k_formats) ? nullptr : &*row;
}

void put32(std::vector<u8>& to, u32 value) {
  for (u32 i = 0; i < 4; ++i) to.push_back(static_cast<u8>(value >> (8 * i)));
}

/// Whether a part of `size` at `at` is inside of `whole`.
bool is_inside(u32 at, u32 size, u32 whole) { return at <= whole && size <= whole - at; }

}  // namespace

class Gpu::Reader {
 public:
  explicit Reader(const Chain& chain) : chain_(chain) {}
  u32 word() {
    std::array<u8, 4> bytes{};
    complete_ = complete_ && chain_.read(at_, bytes) == bytes.size();
    at_ += bytes.size();
    u32 value = 0;
    for (u32 i = 0; i < 4; ++i) value |= u32{bytes[i]} << (8 * i);
    return value;
  }
  u64 wide() {
    const u64 low = word();
    return low | u64{word()} << 32;
  }
  Rect rect() {
    Rect r{};
    r.x = word();
    r.y = word();
    r.width = word();
    r.height = word();
    return r;
  }
  bool complete() const { return complete_; }
  u64 left() const { return chain_.readable_bytes - std::min(at_, chain_.readable_bytes); }

 private:
  const Chain& chain_;
  u64 at_ = 0;
  bool complete_ = true;
};

Result<std::unique_ptr<Gpu>> Gpu::create(const GpuOptions& options) {
  std::unique_ptr<Gpu> device(new Gpu(options));
  AV_TRY(device->worker_.start(ThreadKind::Disk, "gpu"));
  return device;
}

Gpu::Gpu(const GpuOptions& options)
    : options_(options),
      worker_(static_cast<u16>(k_queue_sizes.size()),
              {.serve =
                   [this](u16 index) {
                     const auto active = [this] { return worker_.active(); };
                     serve(index, chain_, active, [this, index](const Chain& c) { return answer(index, c); });
                   },
               .forget = [this] { forget(); }}) {}

std::span<const u16> Gpu::queue_sizes() const { return k_queue_sizes; }

/// struct virtio_gpu_config: no events, one screen, no sets of capabilities.
void Gpu::read_config(u32 offset, std::span<u8> out) {
  constexpr std::array<u8, 16> k_config = {0, 0, 0, 0, 0, 0, 0, 0, 1};
  copy_config(k_config, offset, out);
}

void Gpu::forget() {
  const std::lock_guard lock(mutex_);
  resources_.clear();
  bytes_ = 0;
  entries_ = 0;
  scanout_ = 0;
}

Picture Gpu::picture() const {
  Picture shown;
  const std::lock_guard lock(mutex_);
  const auto at = resources_.find(scanout_);
  if (at == resources_.end()) return shown;
  const Resource& resource = at->second;
  const Shifts& shifts = *shifts_of(resource.format);
  shown = {shown_part_.width, shown_part_.height, std::vector<u8>(u64{shown_part_.width} * shown_part_.height * 3)};
  u8* to = shown.pixels.data();
  for (u32 y = 0; y < shown.height; ++y) {
    const u32* const row = resource.pixels.data() + u64{shown_part_.y + y} * resource.width + shown_part_.x;
    for (u32 x = 0; x < shown.width; ++x)
      for (const u8 shift : {shifts.red, shifts.green, shifts.blue}) *to++ = static_cast<u8>(row[x] >> shift);
  }
  return shown;
}

Gpu::Resource* Gpu::find(u32 id) {
  const auto at = resources_.find(id);
  return at == resources_.end() ? nullptr : &at->second;
}

/// The header of the answer says again which fence it is about. A cursor is nothing that a picture has.
std::optional<u32> Gpu::answer(u16 index, const Chain& chain) {
  Reader in(chain);
  const u32 type = in.word(), flags = in.word();
  const u64 fence = in.wide();
  const u32 context = in.word();
  (void)in.word();
  if (!in.complete()) return std::nullopt;
  if (index == k_cursor_queue) return 0;
  std::vector<u8> body, reply;
  const std::lock_guard lock(mutex_);
  const u32 response = run(type, in, body);
  if (response >= Unspecified) counters_.errors.add();
  put32(reply, response);
  put32(reply, flags & k_fence);
  put32(reply, flags & k_fence ? static_cast<u32>(fence) : 0);
  put32(reply, flags & k_fence ? static_cast<u32>(fence >> 32) : 0);
  put32(reply, flags & k_fence ? context : 0);
  put32(reply, 0);
  reply.insert(reply.end(), body.begin(), body.end());
  return static_cast<u32>(chain.write(ram(), 0, reply));
}

u32 Gpu::run(u32 type, Reader& in, std::vector<u8>& reply) {
  switch (type) {
    case GetDisplayInfo: display_info(reply); return OkDisplayInfo;
    case ResourceCreate2d: return create_image(in);
    case ResourceUnref: return unref(in);
    case SetScanout: return set_scanout(in);
    case ResourceFlush: return flush(in);
    case TransferToHost2d: return transfer(in);
    case ResourceAttachBacking: return attach(in);
    case ResourceDetachBacking: return detach(in);
    default: return Unspecified;
  }
}

void Gpu::display_info(std::vector<u8>& reply) const {
  for (u32 screen = 0; screen < k_screens; ++screen) {
    const bool on = screen == 0;
    for (const u32 word : {0u, 0u, on ? options_.width : 0, on ? options_.height : 0, on ? 1u : 0u, 0u})
      put32(reply, word);
  }
}

u32 Gpu::create_image(Reader& in) {
  const u32 id = in.word(), format = in.word(), width = in.word(), height = in.word();
  if (!in.complete() || !shifts_of(format) || width == 0 || height == 0 || width > k_most_side || height > k_most_side)
    return InvalidParameter;
  if (id == 0 || find(id)) return InvalidResource;
  const u64 bytes = u64{width} * height * 4;
  if (bytes_ + bytes > k_most_bytes || resources_.size() == k_most_resources) return OutOfMemory;
  resources_[id] = {format, width, height, std::vector<u32>(u64{width} * height)};
  bytes_ += bytes;
  return Ok;
}

u32 Gpu::unref(Reader& in) {
  const u32 id = in.word();
  Resource* const resource = find(id);
  if (!resource) return InvalidResource;
  if (scanout_ == id) scanout_ = 0;
  bytes_ -= u64{resource->width} * resource->height * 4;
  entries_ -= resource->backing.size();
  resources_.erase(id);
  return Ok;
}

u32 Gpu::attach(Reader& in) {
  constexpr u32 k_most = 16384, k_entry = 16;  // as QEMU has it
  Resource* const resource = find(in.word());
  const u32 count = in.word();
  if (!resource) return InvalidResource;
  if (!in.complete() || count > k_most || u64{count} * k_entry > in.left() || !resource->backing.empty())
    return Unspecified;
  if (entries_ + count > k_most_entries) return OutOfMemory;
  std::vector<Backing> backing;
  for (u32 n = 0; n < count; ++n) {
    Backing one{};
    one.address = in.wide();
    one.length = in.word();
    (void)in.word();
    if (!ram().contains(GuestPa(one.address), std::max(one.length, 1u))) return Unspecified;
    backing.push_back(one);
  }
  entries_ += count;
  resource->backing = std::move(backing);
  return Ok;
}

u32 Gpu::detach(Reader& in) {
  Resource* const resource = find(in.word());
  if (!resource) return InvalidResource;
  entries_ -= resource->backing.size();
  resource->backing.clear();
  return Ok;
}

/// From the driver's memory at `offset` of a resource's backing. False: there is less.
bool Gpu::copy_row(const Resource& resource, u64 offset, std::span<u8> row) {
  for (const Backing& part : resource.backing) {
    if (row.empty()) break;
    if (offset >= part.length) {
      offset -= part.length;
      continue;
    }
    const std::size_t n = std::min<u64>(row.size(), part.length - offset);
    if (!ram().read(GuestPa(part.address + offset), row.first(n))) return false;
    row = row.subspan(n);
    offset = 0;
  }
  return row.empty();
}

/// Rows of the image follow each other in the backing, from `offset` for the first of the part.
u32 Gpu::transfer(Reader& in) {
  const Rect part = in.rect();
  const u64 offset = in.wide();
  Resource* const resource = find(in.word());
  if (!resource) return InvalidResource;
  if (!is_inside(part.x, part.width, resource->width) || !is_inside(part.y, part.height, resource->height) ||
      offset > k_most_bytes)
    return InvalidParameter;
  for (u32 y = 0; y < part.height; ++y) {
    u32* const row = resource->pixels.data() + u64{part.y + y} * resource->width + part.x;
    if (!copy_row(*resource, offset + u64{y} * resource->width * 4, {reinterpret_cast<u8*>(row), part.width * 4ull}))
      return Unspecified;
  }
  counters_.bytes_from_guest.add(u64{part.width} * part.height * 4);
  return Ok;
}

u32 Gpu::set_scanout(Reader& in) {
  const Rect part = in.rect();
  const u32 screen = in.word(), id = in.word();
  if (screen != 0) return InvalidScanout;
  if (id == 0) {
    scanout_ = 0;
    return Ok;
  }
  const Resource* const resource = find(id);
  if (!resource) return InvalidResource;
  if (!is_inside(part.x, part.width, resource->width) || !is_inside(part.y, part.height, resource->height) ||
      part.width < 16 || part.height < 16)
    return InvalidParameter;
  scanout_ = id;
  shown_part_ = part;
  return Ok;
}

u32 Gpu::flush(Reader& in) {
  const Rect part = in.rect();
  const u32 id = in.word();
  const Resource* const resource = find(id);
  if (!resource) return InvalidResource;
  if (!is_inside(part.x, part.width, resource->width) || !is_inside(part.y, part.height, resource->height))
    return InvalidParameter;
  return Ok;
}

}  // namespace armvisor::devices::virtio
