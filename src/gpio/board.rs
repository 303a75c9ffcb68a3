//! Detects a Raspberry Pi. Knows the names of its pins and the chip that they are on.

use rppal::system::DeviceInfo;

/// The labels of the chips behind a Raspberry Pi's header. The numbers of the chips may change, their labels do not
/// (docs/workarounds.md, "kernel: gpio chip numbers change").
const HEADER_CHIPS: [&str; 4] = ["pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1", "pinctrl-bcm2712"];

/// The model of the board, if it is a Raspberry Pi (docs/workarounds.md, "rppal: the model is read from proc cpuinfo").
pub fn raspberry_pi_model() -> Option<String> {
    DeviceInfo::new().ok().map(|info| info.model().to_string())
}

/// Whether the chip behind a Raspberry Pi's header can have this label.
pub(super) fn is_header_chip(label: &str) -> bool {
    HEADER_CHIPS.contains(&label)
}

/// The BCM number in a name such as `GPIO17` or `BCM17`. Older kernels do not know these as names of lines
/// (docs/workarounds.md, "kernel: older kernels do not name the header's lines").
pub(super) fn bcm_number(name: &str) -> Option<u32> {
    let number = name.strip_prefix("GPIO").or_else(|| name.strip_prefix("BCM"))?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_of_the_header_has_its_number_in_its_name() {
        assert_eq!(bcm_number("GPIO17"), Some(17));
        assert_eq!(bcm_number("BCM4"), Some(4));
        assert_eq!(bcm_number("GPIO"), None);
        assert_eq!(bcm_number("SDA1"), None);
    }
}
