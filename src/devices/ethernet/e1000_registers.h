#pragma once
// Registers and descriptors of the Intel 82540EM (PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's
// Manual, 317453, chapters 3, 5 and 13). Offsets in bytes, in the region of BAR 0.
#include "base/types.h"

namespace armvisor::devices::e1000 {

enum Reg : u32 {
#define REGISTER(name, offset, writable, readable) name = offset,
#include "devices/ethernet/e1000_registers.inc"
#undef REGISTER
  // Statistics, which reading clears: these, and zeros between them.
  StatsBegin = 0x4000,
  Mpc = 0x4010,    ///< frames for which there was no room
  Gprc = 0x4074,   ///< good frames received
  Bprc = 0x4078,   ///< broadcasts among them
  Mprc = 0x407c,   ///< multicasts among them
  Gptc = 0x4080,   ///< good frames sent
  Gorcl = 0x4088,  ///< their bytes: of each two registers
  Gotcl = 0x4090,
  Torl = 0x40c0,
  Totl = 0x40c8,
  Tpr = 0x40d0,
  Tpt = 0x40d4,
  StatsEnd = 0x4128,
  MulticastTable = 0x5200,    ///< 128 words
  ReceiveAddresses = 0x5400,  ///< 16 of two words
  VlanTable = 0x5600,         ///< 128 words
  RegistersEnd = 0x6000,
};
inline constexpr u32 k_multicast_words = 128, k_vlan_words = 128, k_receive_addresses = 16;

// CTRL
inline constexpr u32 k_ctrl_full_duplex = 1, k_ctrl_link_up = 1u << 6, k_ctrl_speed_1000 = 2u << 8,
                     k_ctrl_reset = 1u << 26, k_ctrl_vlan = 1u << 30, k_ctrl_phy_reset = 1u << 31;
// STATUS: full duplex, link up, 1000 Mb/s, twice.
inline constexpr u32 k_status_value = 1 | 2 | 2u << 6 | 2u << 8;
// EECD: the wires of the EEPROM, and who may drive them.
inline constexpr u32 k_eecd_clock = 1, k_eecd_select = 2, k_eecd_in = 4, k_eecd_out = 8, k_eecd_request = 1u << 6,
                     k_eecd_grant = 1u << 7, k_eecd_present = 1u << 8;
inline constexpr u32 k_eerd_start = 1, k_eerd_done = 1u << 4;
// MDIC
inline constexpr u32 k_mdic_write = 1u << 26, k_mdic_read = 2u << 26, k_mdic_ready = 1u << 28,
                     k_mdic_interrupt = 1u << 29, k_mdic_error = 1u << 30;
// ICR, ICS, IMS, IMC
inline constexpr u32 k_irq_transmitted = 1, k_irq_transmit_empty = 2, k_irq_link = 4, k_irq_receive_low = 1u << 4,
                     k_irq_overrun = 1u << 6, k_irq_received = 1u << 7, k_irq_mdio = 1u << 9;
inline constexpr u32 k_irqs = 0x1ffff;
// RCTL
inline constexpr u32 k_rctl_enable = 1u << 1, k_rctl_store_bad = 1u << 2, k_rctl_all_unicast = 1u << 3,
                     k_rctl_all_multicast = 1u << 4, k_rctl_long = 1u << 5, k_rctl_loopback = 1u << 6,
                     k_rctl_broadcast = 1u << 15, k_rctl_vlan_filter = 1u << 18, k_rctl_larger = 1u << 25,
                     k_rctl_strip_crc = 1u << 26;
inline constexpr u32 k_tctl_enable = 1u << 1;
inline constexpr u32 k_address_valid = 1u << 31;  ///< RAH

inline constexpr u32 k_descriptor_size = 16;
// Transmit descriptors, word 2: length or what a context needs, and commands; word 3: status, options.
inline constexpr u32 k_tx_end = 1u << 24, k_tx_checksum = 1u << 26 /* legacy */, k_tx_segments = 1u << 26,
                     k_tx_report = 1u << 27, k_tx_extended = 1u << 29, k_tx_vlan = 1u << 30;
inline constexpr u32 k_tx_type = 0xfu << 20, k_tx_data = 1u << 20;  ///< of extended ones; 0: a context
inline constexpr u32 k_tx_context_tcp = 1u << 24, k_tx_context_ipv4 = 1u << 25;
inline constexpr u8 k_tx_ip_checksum = 1, k_tx_payload_checksum = 2;  ///< options of a data descriptor
inline constexpr u8 k_done = 1;                                       ///< status of both kinds
// Receive descriptors: status.
inline constexpr u8 k_rx_end = 2, k_rx_no_checksum = 4, k_rx_vlan = 8;

}  // namespace armvisor::devices::e1000
