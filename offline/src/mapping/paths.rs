//! The files that a mapping names, by the keys that name them.

use super::Mapping;
use super::source::SourceMapping;
use crate::outputs::RunPath;

impl Mapping {
    /// Every file that is read, the mapping file included.
    pub(crate) fn inputs(&self) -> Vec<RunPath> {
        let mut inputs = vec![RunPath::file("the mapping file", &self.file)];
        for (name, source) in self.sources() {
            let files = source.files.iter();
            inputs.extend(files.map(|(_, path)| RunPath::file(format!("{name}.files"), path)));
        }
        let test = self.events.test.iter();
        inputs.extend(test.map(|(_, path)| RunPath::file("evaluation.test", path)));
        let own = self.catalogue.as_ref().and_then(|c| c.embeddings.as_ref());
        if let Some(own) = own {
            inputs.push(RunPath::file("catalogue.embeddings.file", &own.matrix.1));
            inputs.push(RunPath::file("catalogue.embeddings.ids", &own.ids.1));
        }
        inputs
    }

    /// The quarantine files that are written.
    pub(crate) fn quarantines(&self) -> Vec<RunPath> {
        let written = self.sources().filter_map(|(name, source)| {
            let file = source.bad_rows.quarantine()?;
            Some(RunPath::file(format!("{name}.bad_rows.file"), file))
        });
        written.collect()
    }

    fn sources(&self) -> impl Iterator<Item = (&'static str, &SourceMapping)> {
        let catalogue = self.catalogue.as_ref().and_then(|c| c.files.as_ref());
        let catalogue = catalogue.map(|files| ("catalogue", &files.source));
        std::iter::once(("events", &self.events.source)).chain(catalogue)
    }
}
