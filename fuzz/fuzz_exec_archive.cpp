// Any bytes as what a system comes in: a tar of one, layers of an image with whiteouts, an archive of images, what an
// image says of itself, a disk with partitions.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "base/write_all.h"
#include "exec/disk_layout.h"
#include "exec/ext_folder.h"
#include "exec/layer.h"
#include "exec/oci.h"
#include "input.h"

using namespace armvisor;
using namespace armvisor::exec;

namespace {

constexpr u64 k_most = u64{32} << 20;

Fd file_of(std::span<const u8> bytes) {
  Fd file(memfd_create("fuzz", MFD_CLOEXEC));
  if (!write_all(file.get(), bytes)) fuzz::fail("no memory");
  return file;
}

Status lay(std::span<const u8> bytes, SystemTree& tree, ExtImage& image, Whiteouts whiteouts) {
  Patience patience;
  const Fd file = file_of(bytes);
  ByteSource source(file.get(), "archive", patience);
  AV_TRY_ASSIGN(TarReader archive, TarReader::open(source, k_most));
  AV_TRY_ASSIGN([[maybe_unused]] const std::string first, archive.first_path());
  return apply_layer(archive, tree, image, whiteouts);
}

/// Whatever it was, what has become of it can be read.
void system(std::span<const u8> bytes, Whiteouts whiteouts, int layers) {
  const Fd file(memfd_create("fuzz", MFD_CLOEXEC));
  if (ftruncate(file.get(), ExtImage::k_least) != 0) fuzz::fail("no memory");
  auto image = ExtImage::create(file.get(), ExtImage::k_least, "archive");
  if (!image) fuzz::fail("no image", image.error().message.c_str());
  SystemTree tree(*image, "archive");
  Status status;
  for (int n = 0; n < layers && status; ++n) status = lay(bytes, tree, *image, whiteouts);
  if (!status) return;
  // A name too many of one file is an error of the archive's, too.
  if (!tree.finish()) return;
  if (const Status finished = image->finish(); !finished) fuzz::fail("not written", finished.error().message.c_str());
  const auto folder = open_ext_folder(file.get(), "image");
  if (!folder) fuzz::fail("what was made cannot be read", folder.error().message.c_str());
  for (const std::string& name : folder->list("")) {
    // A name that is no link is there; a link may lead to nothing.
    (void)folder->has(name);
    (void)folder->read(name, u64{1} << 20);
  }
}

void images(std::span<const u8> bytes) {
  Patience patience;
  const Fd file = file_of(bytes);
  ByteSource source(file.get(), "archive", patience);
  auto archive = TarReader::open(source, k_most);
  if (!archive) return;
  auto blobs = Blobs::in_archive(*archive, "archive", k_most, patience);
  if (!blobs) return;
  const auto image = choose_image(*blobs, "");
  if (!image) return;
  for (const ImageLayer& layer : image->layers) (void)blobs->open(layer.name);
}

void config(std::span<const u8> bytes) {
  const std::string text(bytes.begin(), bytes.end());
  const auto config = parse_image_config(text, "config");
  if (!config) return;
  const auto again = parse_image_config(config->text(), "config");
  if (!again || again->command != config->command || again->user != config->user)
    fuzz::fail("what is kept of a configuration is another");
}

void disk(std::span<const u8> bytes) {
  const u64 size = std::max<u64>(bytes.size(), u64{1} << 20);
  const ReadDisk read = [&](u64 offset, std::span<u8> to) {
    if (offset > size || to.size() > size - offset) fuzz::fail("a place beyond the disk");
    for (std::size_t n = 0; n < to.size(); ++n) to[n] = offset + n < bytes.size() ? bytes[offset + n] : 0;
    return true;
  };
  (void)looks_like_disk(read, size);
  for (const FileSystemPlace& p : find_file_systems(read, size))
    if (p.offset >= size || p.partition > k_most_partitions) fuzz::fail("a file system beyond the disk");
}

}  // namespace

int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
  fuzz::Input input(data, size);
  switch (input.get<u8>() % 5) {
    case 0: system(input.rest(), Whiteouts::None, 1); break;
    case 1: system(input.rest(), Whiteouts::Layer, 2); break;
    case 2: images(input.rest()); break;
    case 3: config(input.rest()); break;
    default: disk(input.rest()); break;
  }
  return 0;
}
