//! Which board this is: what a Raspberry Pi's pins are called, and where they are.

use rppal::system::DeviceInfo;

/// Labels of the chips behind a Raspberry Pi's header, whatever their number is.
const HEADER_CHIPS: [&str; 4] = ["pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1", "pinctrl-bcm2712"];

/// The model, where this is a Raspberry Pi.
pub fn raspberry_pi_model() -> Option<String> {
    DeviceInfo::new().ok().map(|info| info.model().to_string())
}

/// The chip behind a Raspberry Pi's header has this label.
pub(super) fn is_header_chip(label: &str) -> bool {
    HEADER_CHIPS.contains(&label)
}

/// The BCM number in `GPIO17` or `BCM17`, which older kernels do not know as line names.
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
