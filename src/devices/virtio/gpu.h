#pragma once
// A virtio GPU without 3D (virtio 1.2 section 5.7): the driver makes images on the host, fills them from its memory and
// says which of them a screen shows. Nobody looks at the screen here but by screendump; all else is as with a window.
//
// A thread serves the queues, one request after the other, with mutex_ held for each; others copy what the screen
// shows.
//
// Memory: images of k_most_bytes in all, k_most_resources of them, and k_most_entries places of the driver's memory.
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "devices/virtio/device.h"
#include "devices/virtio/queue_worker.h"

namespace armvisor::devices::virtio {

struct GpuOptions {
  u32 width = 1280, height = 800;  ///< that the driver is told to use
};

/// What a screen shows: rows of pixels of red, green and blue, 8 bits each.
struct Picture {
  u32 width = 0, height = 0;
  std::vector<u8> pixels{};
};

class Gpu final : public Device {
 public:
  static constexpr u64 k_most_bytes = 256 << 20;
  static constexpr u32 k_most_resources = 4096, k_most_side = 16384;
  static constexpr std::size_t k_most_entries = 1 << 18;

  static Result<std::unique_ptr<Gpu>> create(const GpuOptions& options);

  std::string_view name() const override { return "virtio-gpu"; }
  u32 id() const override { return 16; }
  u64 features() const override { return 0; }
  std::span<const u16> queue_sizes() const override;
  u32 config_bytes() const override { return 16; }
  void read_config(u32 offset, std::span<u8> out) override;
  void activate(u64) override { worker_.activate(); }
  void reset() override { worker_.reset(); }
  void notify(u16 queue) override { worker_.notify(queue); }

  /// (any thread) Of no size: the screen is dark.
  Picture picture() const;

 private:
  struct Rect {
    u32 x, y, width, height;
  };
  struct Backing {
    u64 address;
    u32 length;
  };
  struct Resource {
    u32 format, width, height;
    std::vector<u32> pixels;  ///< as the driver has them
    std::vector<Backing> backing{};
  };
  /// A request of a chain, read field by field; what is missing is zero, and then complete() is false.
  class Reader;

  explicit Gpu(const GpuOptions& options);
  std::optional<u32> answer(u16 queue, const Chain& chain);
  u32 run(u32 type, Reader& in, std::vector<u8>& reply);
  u32 create_image(Reader& in);
  u32 unref(Reader& in);
  u32 attach(Reader& in);
  u32 detach(Reader& in);
  u32 transfer(Reader& in);
  u32 set_scanout(Reader& in);
  u32 flush(Reader& in);
  void display_info(std::vector<u8>& reply) const;
  void forget();
  bool copy_row(const Resource& resource, u64 offset, std::span<u8> row);
  Resource* find(u32 id);

  const GpuOptions options_;
  Chain chain_;
  mutable std::mutex mutex_;  // guards what follows
  std::map<u32, Resource> resources_;
  u64 bytes_ = 0;
  std::size_t entries_ = 0;
  u32 scanout_ = 0;    ///< the resource that the screen shows; 0: none
  Rect shown_part_{};  ///< of it
  QueueWorker worker_;
};

}  // namespace armvisor::devices::virtio
