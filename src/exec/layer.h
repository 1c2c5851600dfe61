#pragma once
// A tar archive of a system, or a layer of an image, laid over what a tree has.
#include "exec/system_tree.h"
#include "exec/tar_reader.h"

namespace armvisor::exec {

enum class Whiteouts : u8 {
  None,   ///< names are names
  Layer,  ///< ".wh.NAME" takes NAME of lower layers away, ".wh..wh..opq" all of its folder (OCI image layer
          ///< specification, "Whiteouts")
};

Status apply_layer(TarReader& archive, SystemTree& tree, ExtImage& image, Whiteouts whiteouts);

}  // namespace armvisor::exec
