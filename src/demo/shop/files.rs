//! The shop as files that a person can look at and `hotshelf-offline` can train from.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;

use super::Shop;

/// What tells `hotshelf-offline` how to read the files beside it.
const SHOP_TOML: &str = include_str!("shop.toml");

impl Shop {
    /// Writes `products.csv`, `users.csv`, `interactions.csv` and `shop.toml` into `folder`, which
    /// is created where it is missing. Files of these names are replaced.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn write_csv(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        self.write_products(&folder.join("products.csv"))?;
        self.write_users(&folder.join("users.csv"))?;
        self.write_interactions(&folder.join("interactions.csv"))?;
        fs::write(folder.join("shop.toml"), SHOP_TOML)
    }

    fn write_products(&self, path: &Path) -> io::Result<()> {
        let mut file = csv::Writer::from_path(path)?;
        let header = [
            "product_id",
            "product_name",
            "category",
            "brand",
            "price",
            "description",
            "on_sale_from",
        ];
        file.write_record(header)?;
        for product in &self.products {
            file.write_record([
                &product.id,
                &product.name,
                product.category,
                product.brand,
                &format!("{:.2}", product.price),
                product.description.as_deref().unwrap_or_default(),
                &time(product.on_sale_from_s)?,
            ])?;
        }
        file.flush()
    }

    fn write_users(&self, path: &Path) -> io::Result<()> {
        let mut file = csv::Writer::from_path(path)?;
        file.write_record(["user_id", "joined", "favourite_category"])?;
        for user in &self.users {
            file.write_record([&user.id, &time(user.joined_s)?, user.favourite])?;
        }
        file.flush()
    }

    fn write_interactions(&self, path: &Path) -> io::Result<()> {
        let mut file = csv::Writer::from_path(path)?;
        let header = [
            "user_id",
            "product_id",
            "interaction_type",
            "timestamp",
            "session_id",
        ];
        file.write_record(header)?;
        for event in &self.events {
            let user = &self.users[event.user as usize].id;
            file.write_record([
                user,
                &self.products[event.product as usize].id,
                event.kind.as_str(),
                &time(event.at_s)?,
                &format!("{user}-{}", event.visit),
            ])?;
        }
        file.flush()
    }
}

/// RFC 3339, in UTC.
fn time(unix_s: i64) -> io::Result<String> {
    let time = Timestamp::from_second(unix_s).map_err(io::Error::other)?;
    Ok(time.to_string())
}
